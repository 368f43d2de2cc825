/** The criteria of workers. A Durable Object has the workers, so the filter is a predicate and not SQL. */
import { namedStrictObject } from "#wire/named";
import * as z from "zod";
import type { Micros } from "#lib/clock";
import { Time } from "#wire/dates";
import { Operator } from "./clause";

export const WorkerStatus = z.enum(["ONLINE", "OFFLINE"]).meta({ id: "WorkerStatus" });
export type WorkerStatus = z.output<typeof WorkerStatus>;

export const WorkerFilter = namedStrictObject("WorkerFilter", {
  operator: Operator.default("and_"),
  last_heartbeat_time: z
    .strictObject({ before_: Time.nullish(), after_: Time.nullish() })
    .meta({ id: "WorkerFilterLastHeartbeatTime" })
    .nullish(),
  status: z
    .strictObject({ any_: z.array(WorkerStatus).nullish(), not_any_: z.array(WorkerStatus).nullish() })
    .meta({ id: "WorkerFilterStatus" })
    .nullish(),
});
export type WorkerFilter = z.output<typeof WorkerFilter>;

/** Whether the worker meets the filter. Every worker meets a filter without criteria. */
export function matchesWorker(
  filter: WorkerFilter,
  worker: { last_heartbeat_time: Micros | null; status: WorkerStatus },
): boolean {
  const given: boolean[] = [];
  if (filter.last_heartbeat_time) given.push(isWithin(filter.last_heartbeat_time, worker.last_heartbeat_time));
  if (filter.status) given.push(hasStatus(filter.status, worker.status));
  if (given.length === 0) return true;
  return filter.operator === "and_" ? given.every(Boolean) : given.some(Boolean);
}

function isWithin(span: NonNullable<WorkerFilter["last_heartbeat_time"]>, time: Micros | null): boolean {
  const { before_: before = null, after_: after = null } = span;
  if (time === null) return before === null && after === null;
  return (before === null || time <= before) && (after === null || time >= after);
}

function hasStatus(wanted: NonNullable<WorkerFilter["status"]>, status: WorkerStatus): boolean {
  const { any_: included, not_any_: excluded } = wanted;
  return (included?.includes(status) ?? true) && !excluded?.includes(status);
}
