/** A flow run's logs as a CSV file, streamed. */
import type { LogStore } from "#resources/logs/store";
import type { Log } from "#wire/log";

/** How many logs are read at a time. */
const PAGE = 1000;
const HEADER = ["timestamp", "level", "flow_run_id", "task_run_id", "message"];

/** Gives the answer with the logs of a run named `name`. */
export function downloadLogs(store: LogStore, run: { id: string; name: string }): Response {
  const rows = csvOf(store, run.id);
  const bytes = new TextEncoder();
  const stream = new ReadableStream<Uint8Array>({
    async pull(controller) {
      const { done, value } = await rows.next();
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
  yield line(HEADER);
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
      yield some.map((log) => line(cellsOf(log))).join("");
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
