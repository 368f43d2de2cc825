/** The states in a task run's row: SQL that orders, merges and bounds the states. */
import { type SQL, sql } from "drizzle-orm";
import { readJson } from "#db/database";
import type { State, StateType } from "#wire/state";
import { asList } from "#db/sql";

/** The progress of a run in a state of this type. Clocks may be too coarse to order the states. */
const PROGRESS: Partial<Record<StateType, number>> = { SCHEDULED: 0, PENDING: 1, RUNNING: 2, PAUSED: 3, CANCELLING: 3 };
const ENDED = 4;

/** The states in a task run's column. Values that are not states are skipped, because a row may be older than the bounds. */
export function readStates(column: string): State[] {
  const states = readJson<unknown>(column);
  return Array.isArray(states)
    ? (states as (State | null)[]).filter((state): state is State => !!state?.state_details)
    : [];
}

/** The progress of a run in a state of a type, as a number that grows. */
export const progressOf = (type: StateType): number => PROGRESS[type] ?? ENDED;

/** `progressOf` of an expression, as SQL. */
export const progressSql = (type: string): string =>
  `case ${type} ${Object.entries(PROGRESS)
    .map(([name, progress]) => `when '${name}' then ${progress}`)
    .join(" ")} else ${ENDED} end`;

/** How many bytes the states before the newest state have in a row at most. The newest state is always whole. */
export const MAX_OLDER_BYTES = 200_000;
/** How many states a row has at most. */
const MAX_STATES = 1_000;

/** A state without its data and details, and with another message. */
const STUB = `json_object('id', state->>'id', 'type', state->>'type', 'name', substr(state->>'name', 1, 50),
  'timestamp', state->>'timestamp', 'message', 'Message and data were left out: the states of this task run are too large.',
  'data', null, 'state_details', json('{}'))`;

/** The states of the row. If the states nest too deep for SQLite (a row may be older than the bounds), the new states replace them. */
export const OLD_STATES = sql`json_each(${asList(sql.raw("task_run.states"))})`;

const BY_AGE = sql.raw(`state->>'timestamp' desc, ${progressSql("state->>'type'")} desc, state->>'id' desc`);

/** The states of a row of `task_run`, plus the states of the JSON array `added` that the row does not have, oldest first, within the bounds. */
export function mergedStates(added: SQL): SQL {
  const bounded = sql.raw(`iif(place = 1 or older_bytes <= ${MAX_OLDER_BYTES}, state, ${STUB})`);
  return sql`(
    select json_group_array(json(${bounded}) order by place desc) from (
      select state, place, sum(iif(place = 1, 0, octet_length(state))) over (order by place) as older_bytes from (
        select state, row_number() over (order by ${BY_AGE}) as place from (
          select value as state from ${OLD_STATES}
          union all
          select json_replace(value, '$.state_details.task_run_id', task_run.id) from json_each(${added})
          where value->>'id' not in (select value->>'id' from ${OLD_STATES})
        )
      )
    ) where place <= ${sql.raw(String(MAX_STATES))}
  )`;
}
