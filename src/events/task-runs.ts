/** Makes task runs from the events in which clients report them. */
import { type SQL, sql } from "drizzle-orm";
import * as z from "zod";
import { shortId, shortWorkspace, storedId, uuidDigits, uuidText } from "#db/short/ids";
import { inputsForm } from "#db/short/inputs";
import { taskPolicyForm } from "#db/short/policy";
import { shortStates } from "#db/short/states";
import { keyHash, ofFlowRunIn } from "#db/task-run-keys";
import { beginningSql, isNewTo, MAX_OLDER_BYTES, mergedStates, progressOf, progressSql } from "#db/task-run-states";
import { task_run } from "#db/tables/task-run";
import { idOfKind, type ReceivedEvent, RESOURCE_ROLE, resourceId } from "#events/event";
import { byteLength } from "#lib/bytes";
import { chunksBySize } from "#lib/chunks";
import type { Micros } from "#lib/clock";
import { parseTime, Time } from "#wire/dates";
import { canonicalUuid, isUuid } from "#wire/ids";
import { TaskInputs, TaskRunPolicy } from "#wire/runs";
import { Float, Int, Labels } from "#wire/scalars";
import { ShortText, Tags } from "#wire/sizes";
import { defaultStateName, type State, type StateDetails, StateDetailsInput, StateType } from "#wire/state";

const OptionalTime = Time.nullable().default(null);
const OptionalText = ShortText.nullable().default(null);

/** The payload of a report: the task run and its new state. The client sends every field that is not null. */
const Payload = z.object({
  task_run: z.object({
    name: ShortText,
    task_key: ShortText,
    dynamic_key: ShortText,
    cache_key: OptionalText,
    cache_expiration: OptionalTime,
    task_version: OptionalText,
    empirical_policy: TaskRunPolicy.default({}),
    tags: Tags.default([]),
    labels: Labels.nullish().transform((labels) => labels ?? {}),
    task_inputs: TaskInputs.default({}),
    run_count: Int.default(0),
    flow_run_run_count: Int.default(0),
    expected_start_time: OptionalTime,
    next_scheduled_start_time: OptionalTime,
    start_time: OptionalTime,
    end_time: OptionalTime,
    total_run_time: Float.default(0)
      .transform((seconds): Micros => Math.round(seconds * 1_000_000))
      .refine(Number.isSafeInteger, "A duration may have 285 years"),
  }),
  validated_state: z.object({
    type: StateType,
    name: z.string().nullish(),
    message: z.string().nullish(),
    data: z.unknown().optional(),
    state_details: StateDetailsInput.nullish(),
  }),
});

/** A task run from reports: its columns at its newest state, and all reported states. */
export interface TaskRunRecord {
  id: string;
  flow_run_id: string | null;
  columns: z.output<typeof Payload>["task_run"];
  states: State[];
}

/**
 * Whether an event is a report. Prefect: a report is about a task run that the client orchestrates; for other task runs
 * `set_state` writes the states.
 */
export function isTaskRunReport(event: ReceivedEvent): boolean {
  return event.event.startsWith("prefect.task-run") && event.resource["prefect.orchestration"] === "client";
}

/** Reads a report. `wrong` is the reason why the report can never be recorded. */
export function readTaskRun(event: ReceivedEvent): TaskRunRecord | { wrong: string } {
  const id = idOfKind("prefect.task-run", resourceId(event.resource));
  if (id === undefined || !isUuid(id)) return { wrong: `${resourceId(event.resource)} is no task run` };
  const occurred = parseTime(event.occurred);
  if (occurred === undefined) return { wrong: `occurred: ${event.occurred} is no time` };
  const flowRun = event.related.find((resource) => resource[RESOURCE_ROLE] === "flow-run");
  const flowRunId = flowRun && idOfKind("prefect.flow-run", resourceId(flowRun));
  if (flowRunId !== undefined && !isUuid(flowRunId)) return { wrong: `related: ${flowRunId} is no flow run's id` };
  const payload = Payload.safeParse(event.payload);
  if (!payload.success) {
    return { wrong: payload.error.issues.map(({ path, message }) => `${path.join(".")}: ${message}`).join("; ") };
  }
  const { task_run: columns, validated_state: state } = payload.data;
  const ids = {
    task_run_id: canonicalUuid(id),
    flow_run_id: flowRunId === undefined ? null : canonicalUuid(flowRunId),
  };
  return {
    id: ids.task_run_id,
    flow_run_id: ids.flow_run_id,
    columns,
    states: [
      {
        id: event.id,
        type: state.type,
        name: state.name || defaultStateName(state.type),
        timestamp: occurred,
        message: state.message ?? null,
        data: state.data ?? null,
        state_details: { ...present(state.state_details ?? {}), ...ids },
      },
    ],
  };
}

/** The details that are not null. */
function present(details: StateDetails): StateDetails {
  return Object.fromEntries(Object.entries(details).filter(([, value]) => value !== null && value !== undefined));
}

/**
 * Returns one record for each task run, with the columns of its newest state and its states by time. The order of the
 * reports has no effect.
 *
 * Prefect: reports with the same flow run, task key and dynamic key are of one task run, whatever their ids. A new task
 * run has the id of the report of its oldest state.
 */
function mergeTaskRuns(records: readonly TaskRunRecord[]): TaskRunRecord[] {
  const byId = [...Map.groupBy(records, ({ id }) => id).values()].map(mergeRecords);
  return [...Map.groupBy(byId, keyOf).values()].map(mergeRecords);
}

function keyOf({ id, flow_run_id, columns: { task_key, dynamic_key } }: TaskRunRecord): string {
  return flow_run_id === null ? id : JSON.stringify([flow_run_id, task_key, dynamic_key]);
}

function mergeRecords(records: TaskRunRecord[]): TaskRunRecord {
  const newest = anyOf(records.toSorted((a, b) => compareStates(newestOf(b), newestOf(a)))[0]);
  const { id } = anyOf(records.toSorted((a, b) => compareStates(oldestOf(a), oldestOf(b)))[0]);
  const withId = (state: State) => ({ ...state, state_details: { ...state.state_details, task_run_id: id } });
  const states = new Map(records.flatMap((record) => record.states.map((state) => [state.id, state])));
  return { ...newest, id, states: [...states.values()].toSorted(compareStates).map(withId) };
}

const compareStates = (a: State, b: State): number =>
  a.timestamp - b.timestamp || progressOf(a.type) - progressOf(b.type) || (a.id < b.id ? -1 : Number(a.id > b.id));

const newestOf = (record: TaskRunRecord): State => anyOf(record.states.at(-1));
const oldestOf = (record: TaskRunRecord): State => anyOf(record.states[0]);

/** Returns the value. It is always defined, because a record has at least one state, and a group at least one record. */
function anyOf<T>(value: T | undefined): T {
  if (value === undefined) throw new Error("nothing was reported of a task run");
  return value;
}

const STATE_COLUMNS = ["state_id", "state_type", "state_name", "state_timestamp"];
/** The columns that get their values from the newest state. */
const NEWEST = ["flow_run_id", ...Object.keys(Payload.shape.task_run.shape), ...STATE_COLUMNS, "key_hash"];
/** The columns among them that are ids in the short form. */
const IDS = new Set(["flow_run_id", "dynamic_key", "state_id"]);

const IS_NEWER = `task_run.state_timestamp is null
  or (excluded.state_timestamp, ${progressSql("excluded.state_type")}, ${uuidDigits("excluded.state_id")})
    > (task_run.state_timestamp, ${progressSql("task_run.state_type")}, coalesce(${uuidDigits("task_run.state_id")}, ''))`;

/** A value of the row with the newer state. */
const ofNewer = (valueOf: (row: string) => string): string =>
  `case when ${IS_NEWER} then ${valueOf("excluded")} else ${valueOf("task_run")} end`;

/** The beginning of the present state after an upsert; see `mergedStates`. */
const NEWER_BEGINNING = sql.raw(ofNewer(beginningSql));

const MERGED = mergedStates({
  states: sql`excluded.states`,
  row: "excluded",
  beginning: NEWER_BEGINNING,
  flowRunId: `(${ofNewer((row) => uuidText(`${row}.flow_run_id`))})`,
});

/** A value of the record, as it is stored in a row of the form of `id`. */
function valueOf(name: string): string {
  const value = `(value->>'${name}')`;
  if (name === "key_hash") return `iif(typeof(id) = 'text', null, ${value})`;
  return IDS.has(name) ? `iif(typeof(id) = 'text', ${value}, ${storedId(value)})` : value;
}

/**
 * The id of the row of a record, in the form of that row: a row with the record's keys, or else a row with the record's id. If there is
 * no such row, the short form of the record's id.
 */
function rowIdOf(workspaceId: string): SQL {
  const flowRunId = sql`value->>'flow_run_id'`;
  const hasKeys = sql`same.task_key = value->>'task_key' and ${sql.raw(uuidText("same.dynamic_key"))} = value->>'dynamic_key'`;
  return sql`coalesce((
      select same.id from ${task_run} same
      where ${ofFlowRunIn("short", workspaceId, flowRunId, "same")} and same.key_hash = value->>'key_hash' and ${hasKeys}
    ), (
      select same.id from ${task_run} same
      where ${ofFlowRunIn("text", workspaceId, flowRunId, "same")}
        and same.task_key = value->>'task_key' and same.dynamic_key = value->>'dynamic_key'
    ), (
      select same.id from ${task_run} same where same.workspace_id = ${workspaceId} and same.id = value->>'id'
    ), ${shortId(sql`value->>'id'`)})`;
}

/** D1 takes values of 2 MB. An event has at most 1.5 MB, and the largest row has little more. */
const MAX_STATEMENT_BYTES = 1_000_000;

/**
 * Returns the statements that merge and write the records. States are merged with the table's states by their ids, the columns come
 * from the newest state, and known states change nothing. So the statements may be repeated, and run in any order.
 *
 * Prefect: a record with the flow run, task key and dynamic key of a row is that task run, whatever its id.
 */
export function recordTaskRuns(workspaceId: string, records: readonly TaskRunRecord[], now: Micros): SQL[] {
  const rows = mergeTaskRuns(records)
    .flatMap(partsOf)
    .map((part) => JSON.stringify(toRow(part)));
  return chunksBySize(rows, MAX_STATEMENT_BYTES, byteLength).map((some) => {
    const told = `[${some.join(",")}]`;
    return sql`with told as materialized (select value from json_each(${told})),
      known as materialized (select value, ${rowIdOf(workspaceId)} as id from told)
      insert into ${task_run} (workspace_id, id, created, updated, states, ${sql.raw(NEWEST.join(", "))})
      select iif(typeof(id) = 'text', ${workspaceId}, ${shortWorkspace(workspaceId)}), id,
        ${now}, ${now}, value->>'states', ${sql.raw(NEWEST.map(valueOf).join(", "))}
      from known where true
      on conflict (workspace_id, id) do update set
        updated = excluded.updated,
        states = ${MERGED},
        ${sql.raw(NEWEST.map((name) => `${name} = ${ofNewer((row) => `${row}.${name}`)}`).join(", "))}
      where exists (select 1 from json_each(excluded.states) where ${isNewTo("excluded")})`;
  });
}

/**
 * Splits a record that has more states than a new row may have. The part with the newest states comes first, because
 * the record's columns belong to them.
 */
function partsOf(record: TaskRunRecord): TaskRunRecord[] {
  const parts = chunksBySize(record.states.toReversed(), MAX_OLDER_BYTES, (state) => byteLength(JSON.stringify(state)));
  return parts.map((states) => ({ ...record, states: states.toReversed() }));
}

function toRow(record: TaskRunRecord): Record<string, unknown> {
  const newest = newestOf(record);
  const row = {
    ...record.columns,
    id: record.id,
    flow_run_id: record.flow_run_id,
    state_id: newest.id,
    state_type: newest.type,
    state_name: newest.name,
    state_timestamp: newest.timestamp,
    empirical_policy: taskPolicyForm.write(record.columns.empirical_policy),
    task_inputs: inputsForm.write(record.columns.task_inputs),
    key_hash: record.flow_run_id === null ? null : keyHash(record.columns),
  };
  return { ...row, states: shortStates(record.states, row) };
}
