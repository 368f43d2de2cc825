/** Which logs a listener wants. */
import type { PublishedLog } from "#events/emit";
import type { LogFilter } from "#filters/logs";
import { meetsTextQuery } from "#lib/text-query";
import { parseTime } from "#wire/dates";

/** Whether a log meets the filter. Prefect: `log_matches_filter`, where all criteria have to be met whatever the operator. */
export function matchesLog(filter: LogFilter, log: PublishedLog): boolean {
  const { level, timestamp, flow_run_id, task_run_id, text } = filter;
  const time = parseTime(log.timestamp) ?? 0;
  return (
    log.level >= (level?.ge_ ?? -Infinity) &&
    log.level <= (level?.le_ ?? Infinity) &&
    time <= (timestamp?.before_ ?? Infinity) &&
    time >= (timestamp?.after_ ?? -Infinity) &&
    isAmong(flow_run_id?.any_, log.flow_run_id) &&
    isAmong(task_run_id?.any_, log.task_run_id) &&
    (typeof task_run_id?.is_null_ !== "boolean" || task_run_id.is_null_ === (log.task_run_id === null)) &&
    (!text || meetsTextQuery(text.query, `${log.message} ${log.name}`))
  );
}

function isAmong(wanted: readonly string[] | null | undefined, id: string | null): boolean {
  return !wanted || (id !== null && wanted.includes(id));
}
