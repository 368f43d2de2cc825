/** The states in a task run's row: SQL that orders, merges and bounds the states, in both forms (`db/short/states.ts`). */
import { type SQL, sql } from "drizzle-orm";
import { LETTERS } from "#db/short/details";
import { uuidDigits, uuidText } from "#db/short/ids";
import { asList } from "#db/sql";
import { STATE_TYPES, type State, type StateType } from "#wire/state";

/** The progress of a run in a state of this type. Clocks may be too coarse to order the states. */
const PROGRESS: Partial<Record<StateType, number>> = { SCHEDULED: 0, PENDING: 1, RUNNING: 2, PAUSED: 3, CANCELLING: 3 };
const ENDED = 4;

/** The progress of a run in a state of a type, as a number that grows. */
export const progressOf = (type: StateType): number => PROGRESS[type] ?? ENDED;

/** `progressOf` of an expression, as SQL. The expression is a type or its place in `STATE_TYPES`. */
export const progressSql = (type: string): string =>
  `case ${type} ${Object.entries(PROGRESS)
    .map(([name, progress]) => `when '${name}' then ${progress} when ${placeOf(name)} then ${progress}`)
    .join(" ")} else ${ENDED} end`;

const placeOf = (name: string): number => STATE_TYPES.findIndex((type) => type === name);

/** How many bytes the states before the newest state have in a row at most. The newest state is always whole. */
export const MAX_OLDER_BYTES = 200_000;
/** How many states a row has at most. */
const MAX_STATES = 1_000;

/** A part of a stored state: by its place in the short form or by its name. */
const part = (state: string, place: number, name: string) => `coalesce(${state} ->> ${place}, ${state} ->> '${name}')`;

const LEFT_OUT = "'Message and data were left out: the states of this task run are too large.'";
/** A state without its data and details, and with another message. */
const STUB = `iif(json_type(state) = 'array',
  json_array(state ->> 0, state ->> 1, state ->> 2, json('{}'), null, ${LEFT_OUT}, substr(state ->> 6, 1, 50)),
  json_object('id', state ->> 'id', 'type', state ->> 'type', 'name', substr(state ->> 'name', 1, 50),
    'timestamp', state ->> 'timestamp', 'message', ${LEFT_OUT}, 'data', null, 'state_details', json('{}')))`;

/** The states of the row. If the states nest too deep for SQLite (a row may be older than the bounds), the new states replace them. */
const OLD_STATES = sql`json_each(${asList(sql.raw("task_run.states"))})`;

/** The beginning of the stored form of a state that is not the present state of its row. The values are of the row `row`. */
export const beginningSql = (row: string): string =>
  `('["' || ${uuidDigits(`${row}.state_id`)} || '",' || case ${row}.state_type ${STATE_TYPES.map(
    (type, place) => `when '${type}' then ${place}`,
  ).join(" ")} end || ',' || ${row}.state_timestamp)`;

/** The same beginning, of a state. */
export const beginningOf = ({ id, type, timestamp }: State): string =>
  `["${id.replaceAll("-", "")}",${placeOf(type)},${timestamp}`;

/** Whether an item of `json_each` is the present state of its row. */
const IS_PRESENT = "type = 'array' and value ->> 0 = 0";
/** An item of `json_each` over the states of `row`, with the parts that the row has in its columns. */
const whole = (row: string) => `iif(${IS_PRESENT}, coalesce(${beginningSql(row)} || substr(value, 3), value), value)`;
/** Such an item, which names the flow run of `row` if the row gets another flow run. */
const named = (
  row: string,
  flowRunId: string,
) => `iif(type = 'array' and ${uuidText(`${row}.flow_run_id`)} is not ${flowRunId},
  json_set(${whole(row)}, '$[3]', json_insert(coalesce(${whole(row)} -> 3, '{}'), '$.${LETTERS.flow_run_id}', ${uuidText(`${row}.flow_run_id`)})),
  ${whole(row)})`;
/** The digits of the id of such an item. */
const digits = (row: string) =>
  `iif(${IS_PRESENT}, ${uuidDigits(`${row}.state_id`)}, replace(${part("value", 0, "id")}, '-', ''))`;

/** The condition that an item of `json_each` over the states of `row` is not in the row of `task_run`. */
export function isNewTo(row: string): SQL {
  return sql`${sql.raw(digits(row))} not in (select ${sql.raw(digits("task_run"))} from ${OLD_STATES})`;
}

const BY_AGE = sql.raw(
  `${part("state", 2, "timestamp")} desc, ${progressSql(part("state", 1, "type"))} desc, replace(${part("state", 0, "id")}, '-', '') desc`,
);

/** States that are added to a row. */
interface Added {
  /** The states as they are stored. */
  states: SQL;
  /** The row to whose columns these states belong. */
  row: "excluded" | "task_run";
  /** The beginning of the row's present state after the change. */
  beginning: SQL;
  /** The row's flow run after the change, as text. */
  flowRunId: string;
}

/** The states of a row of `task_run`, plus the added states that the row does not have, oldest first, within the bounds. */
export function mergedStates({ states, row, beginning, flowRunId }: Added): SQL {
  const bounded = sql.raw(`iif(place = 1 or older_bytes <= ${MAX_OLDER_BYTES}, state, ${STUB})`);
  const isPresent =
    "substr(bounded, 1, length(beginning)) = beginning and substr(bounded, length(beginning) + 1, 1) in (',', ']')";
  const shortened = sql.raw(`iif(${isPresent}, '[0' || substr(bounded, length(beginning) + 1), bounded)`);
  return sql`(
    select json_group_array(json(${shortened}) order by place desc) from (
      select ${bounded} as bounded, ${beginning} as beginning, place from (
        select state, place, sum(iif(place = 1, 0, octet_length(state))) over (order by place) as older_bytes from (
          select state, row_number() over (order by ${BY_AGE}) as place from (
            select ${sql.raw(named("task_run", flowRunId))} as state from ${OLD_STATES}
            union all
            select iif(type = 'object', json_replace(value, '$.state_details.task_run_id', ${sql.raw(uuidText("task_run.id"))}), ${sql.raw(named(row, flowRunId))})
              from json_each(${states}) where ${isNewTo(row)}
          )
        )
      ) where place <= ${sql.raw(String(MAX_STATES))}
    )
  )`;
}
