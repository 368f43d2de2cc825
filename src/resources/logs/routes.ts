/** The routes of logs. */
import { LogFilter, LogSort } from "#filters/logs";
import { listRoutes } from "#http/list-routes";
import { route } from "#http/route";
import { notFound } from "#lib/api-error";
import { FlowRunStore } from "#db/rows/flow-runs";
import { createLogs } from "#resources/logs/create-logs";
import { downloadLogs } from "#resources/logs/download-logs";
import { Log, LogsCreate } from "#resources/logs/schema";
import { LogStore } from "#resources/logs/store";
import type { Tools } from "#tools";
import { Limit, Offset } from "#wire/paging";

const store = (tools: Tools) => new LogStore(tools);

export const logRoutes = [
  route(
    { method: "POST", path: "/logs/", summary: "Create logs.", body: LogsCreate, plainNumbers: true, status: 201 },
    ({ body, tools }) => createLogs(tools, body),
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
