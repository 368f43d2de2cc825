/** The routes of logs. */
import * as z from "zod";
import { publishLogs } from "#events/emit";
import { LogFilter, LogSort } from "#filters/logs";
import { Listing, toListingResponse } from "#http/listing";
import { embedded, route } from "#http/route";
import { notFound } from "#lib/api-error";
import type { Micros } from "#lib/clock";
import { FlowRunStore } from "#db/rows/flow-runs";
import { orArchived } from "#resources/flow-runs/archived-reads";
import { LogsCreate } from "#resources/logs/schema";
import { buildLogSegments } from "#resources/logs/segments";
import { LogStore, printLog } from "#resources/logs/store";
import type { Tools } from "#tools";
import { Log } from "#wire/log";
import { printTime } from "#wire/dates";
import { checkLimit, Limit, Offset } from "#wire/paging";

const store = (tools: Tools) => new LogStore(tools);

/** The header of an answer without all archived logs, as for events: the time up to which the answer has them. */
const ARCHIVE_HEADER = "x-sluice-archive";

const partial = (sort: LogSort, time: Micros): string =>
  `partial; ${sort === "TIMESTAMP_ASC" ? "until" : "since"}=${printTime(time)}`;

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
    async ({ body, tools }) => {
      const { limit, offset, sort, logs = null } = body;
      const filter = logs ?? { operator: "and_" };
      const page = await store(tools).page({ filter, sort, limit: checkLimit(limit), offset });
      const answer = await toListingResponse(new Listing(page.logs), 200);
      if (page.readTo !== null) answer.headers.set(ARCHIVE_HEADER, partial(sort, page.readTo));
      return answer;
    },
  ),
  route(
    {
      method: "GET",
      path: "/flow_runs/{id:uuid}/logs/download",
      summary: "Download all logs of a flow run as a CSV file.",
    },
    async ({ params, tools }) => {
      const run = await orArchived(tools, params.id, (own) => readRun(own, params.id));
      return downloadLogs(store(tools), run);
    },
  ),
];

async function readRun(tools: Tools, id: string) {
  const run = await new FlowRunStore(tools).read(id);
  if (!run) throw notFound("Flow run");
  return run;
}

/** How many logs are read at a time. */
const PAGE = 1000;
const HEADER = ["timestamp", "level", "flow_run_id", "task_run_id", "message"];

/** Gives the answer with the logs of a run named `name`. The first logs are read before the answer begins, so that a failure gives an error. */
async function downloadLogs(store: LogStore, run: { id: string; name: string }): Promise<Response> {
  const rows = csvOf(store, run.id);
  let first: IteratorResult<string> | null = await rows.next();
  const bytes = new TextEncoder();
  const stream = new ReadableStream<Uint8Array>({
    async pull(controller) {
      const { done, value } = first ?? (await rows.next());
      first = null;
      if (done) controller.close();
      else controller.enqueue(bytes.encode(value));
    },
  });
  const percent = (character: string) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`;
  const file = encodeURIComponent(`${run.name}-logs.csv`).replaceAll(/[!'()*]/g, percent);
  return new Response(stream, {
    headers: {
      "content-type": "text/csv; charset=utf-8",
      "content-disposition": `attachment; filename="flow-run-logs.csv"; filename*=UTF-8''${file}`,
    },
  });
}

async function* csvOf(store: LogStore, runId: string): AsyncGenerator<string> {
  let head = line(HEADER);
  for (let offset = 0, read = 1; read > 0; offset += read) {
    read = 0;
    const logs = await store.list({
      filter: { operator: "and_", flow_run_id: { any_: [runId] } },
      sort: "TIMESTAMP_ASC",
      limit: PAGE,
      offset,
    });
    for (const portion of logs) {
      const some = await portion();
      read += some.length;
      yield head + some.map((log) => line(cellsOf(log))).join("");
      head = "";
    }
  }
}

/** The cells of a log, in the order of `HEADER`. */
function cellsOf({ timestamp, level, flow_run_id, task_run_id, message }: Log): (string | number)[] {
  return [pythonTime(timestamp), level, flow_run_id ?? "", task_run_id ?? "", message];
}

/** Prefect: times as Python prints them, `2026-11-01 08:00:00.123456+00:00`. */
function pythonTime(time: string): string {
  return time.replace("T", " ").replace("Z", "+00:00");
}

function line(cells: readonly (string | number)[]): string {
  return `${cells.map((cell) => quoted(String(cell))).join(",")}\r\n`;
}

function quoted(cell: string): string {
  return /[",\r\n]/.test(cell) ? `"${cell.replaceAll('"', '""')}"` : cell;
}
