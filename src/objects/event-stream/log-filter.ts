/** Which logs a listener wants. */
import { z } from "zod";
import type { PublishedLog } from "#events/emit";
import { parseTextQuery } from "#lib/text-query";
import { parseTime, Time } from "#wire/dates";
import { Uuid } from "#wire/ids";
import { Int } from "#wire/scalars";

const Ids = z.array(Uuid).nullish();

/** The filter of `/logs/out`, the same as that of `POST /logs/filter`. */
export const LogFilter = z.strictObject({
  operator: z.enum(["and_", "or_"]).optional(),
  level: z.strictObject({ ge_: Int.nullish(), le_: Int.nullish() }).nullish(),
  timestamp: z.strictObject({ before_: Time.nullish(), after_: Time.nullish() }).nullish(),
  flow_run_id: z.strictObject({ any_: Ids }).nullish(),
  task_run_id: z.strictObject({ any_: Ids, is_null_: z.boolean().nullish() }).nullish(),
  text: z.strictObject({ query: z.string().max(200) }).nullish(),
});
export type LogFilter = z.output<typeof LogFilter>;

/** Whether a log is wanted. Prefect: `log_matches_filter`, where all criteria have to be met whatever the operator. */
export function matchesLog(filter: LogFilter, log: PublishedLog): boolean {
  const { level, timestamp, flow_run_id, task_run_id } = filter;
  const time = parseTime(log.timestamp) ?? 0;
  return (
    log.level >= (level?.ge_ ?? -Infinity) &&
    log.level <= (level?.le_ ?? Infinity) &&
    time <= (timestamp?.before_ ?? Infinity) &&
    time >= (timestamp?.after_ ?? -Infinity) &&
    isAmong(flow_run_id?.any_, log.flow_run_id) &&
    isAmong(task_run_id?.any_, log.task_run_id) &&
    (typeof task_run_id?.is_null_ !== "boolean" || task_run_id.is_null_ === (log.task_run_id === null)) &&
    matchesText(filter, log)
  );
}

function isAmong(wanted: readonly string[] | null | undefined, id: string | null): boolean {
  return !wanted || (id !== null && wanted.includes(id));
}

function matchesText({ text }: LogFilter, log: PublishedLog): boolean {
  if (!text) return true;
  const { include, exclude, required } = parseTextQuery(text.query.toLowerCase());
  const content = `${log.message} ${log.name}`.toLowerCase();
  return (
    (include.length === 0 || include.some((term) => content.includes(term))) &&
    !exclude.some((term) => content.includes(term)) &&
    required.every((term) => content.includes(term))
  );
}
