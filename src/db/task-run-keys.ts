/**
 * Conditions that find task runs by their ids and by their flow runs. A row has one of two forms: the ids in its keys are all text, or
 * all short (`db/short/ids.ts`). A row of a flow run is in the index of its form. Short rows have a `key_hash` and are in `task_run_key`,
 * older rows are in `task_run_flow_run`. A search that finds nothing reads no row, so each search asks for both forms.
 */
import { type SQL, sql } from "drizzle-orm";
import type { Database } from "#db/database";
import { shortId, shortWorkspace, shortWorkspaceOf } from "#db/short/ids";
import { each } from "#db/sql";

/** The two forms of a row's key. */
export const KEY_FORMS = ["text", "short"] as const;
export type KeyForm = (typeof KEY_FORMS)[number];

const TABLE = "task_run";

/** The id of a workspace in one of the forms. */
export const workspaceIn = (form: KeyForm, workspaceId: string): SQL =>
  form === "text" ? sql`${workspaceId}` : shortWorkspace(workspaceId);

/** The id of a run in one of the forms. */
export const idIn = (form: KeyForm, id: string): SQL => (form === "text" ? sql`${id}` : shortId(id));

/** The condition that a row is in the workspace. Most rows are, and with this hint SQLite prefers better indexes. */
export function inTaskWorkspace(workspaceId: string, alias = TABLE): SQL {
  const forms = KEY_FORMS.map((form) => workspaceIn(form, workspaceId));
  return sql`likelihood(${sql.raw(alias)}.workspace_id in (${sql.join(forms, sql`, `)}), 0.9)`;
}

/** The condition that a row is this task run. */
export function isTaskRun(workspaceId: string, id: string, alias = TABLE): SQL {
  // `in` would read a row for each value in its list.
  return either((form) => keyIs(alias, workspaceIn(form, workspaceId), idIn(form, id)));
}

/** The condition that a row is one of these task runs. */
export function areTaskRuns(workspaceId: string, ids: readonly string[], alias = TABLE): SQL {
  const own = (form: KeyForm, value: SQL) =>
    sql`${sql.raw(alias)}.workspace_id = ${workspaceIn(form, workspaceId)}
      and ${sql.raw(alias)}.id in (select ${value} from ${each(ids)})`;
  return sql`(${own("text", sql`value`)} or ${own("short", shortId(sql`value`))})`;
}

/** The condition that a row is the task run with this id (an expression) in this workspace. */
export function isTaskRunOf(workspaceId: string, id: SQL, alias: string): SQL {
  const idOf = { text: id, short: shortId(id) };
  return either((form) => keyIs(alias, workspaceIn(form, workspaceId), idOf[form]));
}

/** The same condition for a workspace that is an expression too. */
export function joinsTaskRun(workspaceId: string, id: string, alias: string): SQL {
  return sql`(${keyIs(alias, sql.raw(workspaceId), sql.raw(id))}
    or ${keyIs(alias, sql.raw(shortWorkspaceOf(workspaceId)), shortId(sql.raw(id)))})`;
}

const either = (of: (form: KeyForm) => SQL): SQL => sql`(${of("text")} or ${of("short")})`;

function keyIs(alias: string, workspaceId: SQL, id: SQL): SQL {
  const name = sql.raw(alias);
  return sql`(${name}.workspace_id = ${workspaceId} and ${name}.id = ${id})`;
}

/** The condition that a row belongs to a flow run (an id or an expression), in the form of the two indexes. */
export function ofFlowRun(workspaceId: string, flowRunId: string | SQL, alias = TABLE): SQL {
  return either((form) => ofFlowRunIn(form, workspaceId, flowRunId, alias));
}

/** The same condition for rows in one of the forms. */
export function ofFlowRunIn(form: KeyForm, workspaceId: string, flowRunId: string | SQL, alias = TABLE): SQL {
  const value = form === "text" ? sql`${flowRunId}` : shortId(flowRunId);
  return isInIndex(form, workspaceIn(form, workspaceId), sql`= ${value}`, alias);
}

/** The condition that a row belongs to one of the flow runs in a select of ids with the column `value`. */
export function ofFlowRuns(workspaceId: string, from: SQL, alias = TABLE): SQL {
  const ids = { text: sql`value`, short: shortId(sql`value`) };
  return either((form) =>
    isInIndex(form, workspaceIn(form, workspaceId), sql`in (select ${ids[form]} from ${from})`, alias),
  );
}

/** The condition that a row belongs to a flow run, for a workspace and a flow run that are expressions, in one of the forms. */
export function joinsFlowRunIn(form: KeyForm, workspaceId: string, flowRunId: string, alias: string): SQL {
  const id = sql.raw(flowRunId);
  return form === "text"
    ? isInIndex(form, sql.raw(workspaceId), sql`= ${id}`, alias)
    : isInIndex(form, sql.raw(shortWorkspaceOf(workspaceId)), sql`= ${shortId(id)}`, alias);
}

/** A search of an index. It has the condition of the index, and a hint without which SQLite would rather read the whole workspace. */
function isInIndex(form: KeyForm, workspaceId: SQL, isFlowRun: SQL, alias: string): SQL {
  const name = sql.raw(alias);
  const isIn = form === "text" ? sql`typeof(${name}.flow_run_id) = 'text'` : sql`${name}.key_hash is not null`;
  return sql`(likelihood(${name}.workspace_id = ${workspaceId}, 0.9) and ${name}.flow_run_id ${isFlowRun} and ${isIn})`;
}

/** Where a task run stands in the index of its form. */
export interface Place {
  id: string;
  task_key: string;
  dynamic_key: string;
  key_hash: number | null;
}

/** The columns of a `Place`. */
export const placeColumns = (alias: string): SQL =>
  sql.raw(`${alias}.id, ${alias}.task_key, ${alias}.dynamic_key, ${alias}.key_hash`);

const INDEXES: Record<KeyForm, string> = { text: "task_run_flow_run", short: "task_run_key" };

/** The table, to be read through the index of one of the forms. */
export const throughIndex = (form: KeyForm, alias = TABLE): SQL =>
  sql.raw(`${TABLE} as ${alias} indexed by ${INDEXES[form]}`);

/** The order of an index within a flow run, and the condition that a row comes after a place in this order. */
export function orderIn(form: KeyForm, last: Place | undefined, alias = TABLE): { order: SQL; rest: SQL } {
  const columns = form === "text" ? ["task_key", "dynamic_key", "id"] : ["key_hash", "id"];
  const order = sql.raw(columns.map((name) => `${alias}.${name}`).join(", "));
  if (!last) return { order, rest: sql`true` };
  const place =
    form === "text"
      ? sql`${last.task_key}, ${last.dynamic_key}, ${last.id}`
      : sql`${last.key_hash}, ${shortId(last.id)}`;
  return { order, rest: sql`(${order}) > (${place})` };
}

/**
 * The pages of a select that walks the indexes of both forms, each row at least once. A row may get the other form meanwhile: so the
 * second index is read after the first, or together with the last page of the first.
 */
export async function* walkForms<Row extends Place>(
  db: Database,
  { select, most, rounds }: { select: (form: KeyForm, last?: Place) => SQL; most: number; rounds: number },
): AsyncGenerator<Row[]> {
  const first = (await db.readAll(KEY_FORMS.map((form) => select(form)))) as unknown as Row[][];
  let isFirst = true;
  for (const [index, form] of KEY_FORMS.entries()) {
    let rows = isFirst ? (first[index] ?? []) : await db.rows<Row>(select(form));
    for (let round = 0; round < rounds; round++) {
      if (rows.length > 0) yield rows;
      if (rows.length < most) break;
      isFirst = false;
      rows = await db.rows<Row>(select(form, rows.at(-1)));
    }
  }
}

const FNV_OFFSET = 0x81_1c_9d_c5;
const FNV_PRIME = 0x01_00_01_93;
/** SQLite stores an integer of 24 bits with a sign in three bytes. */
const HASH_BITS = 24;

/** A number from the keys of a task run that has a flow run. Others of its flow run may have the same number: the keys are compared too. */
export function keyHash({ task_key, dynamic_key }: { task_key: string; dynamic_key: string }): number {
  let hash = FNV_OFFSET;
  for (const character of `${task_key}\0${dynamic_key}`)
    hash = Math.imul(hash ^ (character.codePointAt(0) ?? 0), FNV_PRIME);
  return ((hash ^ (hash >>> HASH_BITS)) << (32 - HASH_BITS)) >> (32 - HASH_BITS);
}
