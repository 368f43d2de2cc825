/** The routes of logs. */
import { z } from "zod";
import { LogFilter, LogSort } from "#filters/logs";
import { Listing } from "#http/listing";
import { embedded, route } from "#http/route";
import { notFound } from "#lib/api-error";
import { FlowRunStore } from "#db/rows/flow-runs";
import { createLogs } from "#resources/logs/create-logs";
import { downloadLogs } from "#resources/logs/download-logs";
import { Log, LogsCreate } from "#resources/logs/schema";
import { LogStore } from "#resources/logs/store";
import type { Tools } from "#tools";
import { Uuid } from "#wire/ids";
import { checkLimit, Limit, Offset } from "#wire/paging";

const store = (tools: Tools) => new LogStore(tools.db, tools.workspaceId);

export const logRoutes = [
  route(
    { method: "POST", path: "/logs/", summary: "Create logs.", body: LogsCreate, plainNumbers: true, status: 201 },
    ({ body, tools }) => createLogs(tools, body),
  ),
  route(
    {
      method: "POST",
      path: "/logs/filter",
      summary: "Read logs.",
      body: embedded({
        limit: Limit,
        offset: Offset,
        logs: LogFilter.nullish(),
        sort: LogSort.default("TIMESTAMP_ASC"),
      }),
      response: z.array(Log),
    },
    async ({ body, tools }) =>
      new Listing(
        await store(tools).list({
          filter: body.logs ?? { operator: "and_" },
          sort: body.sort,
          limit: checkLimit(body.limit),
          offset: body.offset,
        }),
      ),
  ),
  route(
    {
      method: "GET",
      path: "/flow_runs/{id:uuid}/logs/download",
      summary: "Download all logs of a flow run as a CSV file.",
      params: z.object({ id: Uuid }),
    },
    async ({ params, tools }) => {
      const run = await new FlowRunStore(tools.db, tools.workspaceId).read(params.id);
      if (!run) throw notFound("Flow run");
      return downloadLogs(store(tools), run);
    },
  ),
];
