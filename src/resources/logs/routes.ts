/** The routes of logs. */
import { publishLogs } from "#events/emit";
import { LogFilter, LogSort } from "#filters/logs";
import { listRoutes } from "#http/list-routes";
import { route } from "#http/route";
import { notFound } from "#lib/api-error";
import { FlowRunStore } from "#db/rows/flow-runs";
import { downloadLogs } from "#resources/logs/download-logs";
import { LogsCreate } from "#resources/logs/schema";
import { buildLogSegments } from "#resources/logs/segments";
import { LogStore, printLog } from "#resources/logs/store";
import type { Tools } from "#tools";
import { Log } from "#wire/log";
import { Limit, Offset } from "#wire/paging";

const store = (tools: Tools) => new LogStore(tools);

export const logRoutes = [
  route(
    { method: "POST", path: "/logs/", summary: "Create logs.", body: LogsCreate, plainNumbers: true, status: 201 },
    async ({ body, tools }) => {
      const segments = buildLogSegments(body, tools.clock(), tools.ids);
      await store(tools).insert(segments.map(({ row }) => row));
      const shown = segments.flatMap(({ row, records }) => records.map((record) => printLog(row.run_id, record)));
      tools.background(publishLogs(tools, shown));
    },
  ),
  ...listRoutes({
    path: "/logs",
    things: "logs",
    body: { limit: Limit, offset: Offset, logs: LogFilter.nullish(), sort: LogSort.default("TIMESTAMP_ASC") },
    item: Log,
    list: ({ body, tools }, part) =>
      store(tools).list({ filter: body.logs ?? { operator: "and_" }, sort: body.sort, ...part }),
  }),
  route(
    {
      method: "GET",
      path: "/flow_runs/{id:uuid}/logs/download",
      summary: "Download all logs of a flow run as a CSV file.",
    },
    async ({ params, tools }) => {
      const run = await new FlowRunStore(tools).read(params.id);
      if (!run) throw notFound("Flow run");
      return downloadLogs(store(tools), run);
    },
  ),
];
