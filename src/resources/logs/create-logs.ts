/** Creates logs: stores them, then sends them to the listeners. */
import { publishLogs } from "#events/emit";
import type { LogCreate } from "#resources/logs/schema";
import { buildLogSegments } from "#resources/logs/segments";
import { LogStore, printLog } from "#resources/logs/store";
import type { Tools } from "#tools";

/** Writes a batch of logs. The same batch, sent again, changes nothing. */
export async function createLogs(tools: Tools, logs: readonly LogCreate[]): Promise<void> {
  const segments = await buildLogSegments(logs, tools.clock(), tools.ids);
  await new LogStore(tools).insert(segments.map(({ row }) => row));
  const shown = segments.flatMap(({ row, records }) => records.map((record) => printLog(row.run_id, record)));
  tools.background(publishLogs(tools, shown));
}
