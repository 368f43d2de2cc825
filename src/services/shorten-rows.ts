/**
 * Rewrites the rows that are older than the short forms of JSON columns and of the ids of task runs (`db/short`), once, so that they
 * take less space. Both forms are read everywhere, so nothing depends on this sweep. A row that another request changes meanwhile
 * stays as that request wrote it. `updated` does not change, and there are no events.
 */
import { getTableName, type SQL, sql } from "drizzle-orm";
import type { SQLiteTable } from "drizzle-orm/sqlite-core";
import { columnsOf } from "#db/columns";
import { LONG_BYTES } from "#db/long-values";
import { type OldRow, shortFlowRun, shortFlowRunState, shortTaskRun } from "#db/short/rewrite";
import { shortWorkspaceOf, storedId, uuidText } from "#db/short/ids";
import { shortLabels } from "#db/short/labels";
import { keyHash } from "#db/task-run-keys";
import { flow_run, flow_run_state } from "#db/tables/flow-run";
import { task_run } from "#db/tables/task-run";
import { byteLength } from "#lib/bytes";
import { chunksBySize } from "#lib/chunks";
import { takeTurn } from "#services/turns";
import type { SweepTools } from "#tools";

/** How many rows a step reads, and how many steps a turn takes. */
const AT_ONCE = 250;
const STEPS = 8;
/** A turn may find a row that ends its process. After so many tries with this row alone, the row is passed over. */
const MAX_TRIES = 3;
const MAX_STATEMENT_BYTES = 1_000_000;
/** The name of the mark. A database may have the mark "shorten rows" of a version that did not shorten ids. */
const MARK = "shorten rows and ids";
/** The place after the last table. */
const DONE = "done";

/** How the rows of a table are rewritten. */
interface Rewrite {
  table: SQLiteTable;
  /** The columns that are the key. */
  key: readonly string[];
  /** The columns that the short forms refer to. They must not have changed either. */
  context: readonly string[];
  /** The columns that are rewritten. */
  columns: readonly string[];
  /** More values of a row that `short` needs. */
  more?: SQL;
  /** Whether the ids are shortened, with all that is made of them. The rows with short ids come last in the order of the key. */
  ids?: boolean;
  /** The new values of the columns that get shorter. A value that is no text was too long to be read, and is not rewritten. */
  short: (row: OldRow) => Record<string, string>;
}

const REWRITES: readonly Rewrite[] = [
  {
    table: task_run,
    key: ["workspace_id", "id"],
    context: ["flow_run_id", "task_key", "dynamic_key", "state_id", "state_type", "state_timestamp"],
    columns: ["empirical_policy", "task_inputs", "states"],
    ids: true,
    short: shortTaskRun,
  },
  {
    table: flow_run,
    key: ["workspace_id", "id"],
    context: ["flow_id", "deployment_id"],
    columns: ["empirical_policy", "created_by", "labels"],
    more: sql`, iif(json_valid(labels) and octet_length(labels) <= ${sql.raw(String(LONG_BYTES))},
      ${shortLabels(sql.raw("flow_run.labels"), (name) => `flow_run.${name}`)}, null) as short_labels`,
    short: shortFlowRun,
  },
  {
    table: flow_run_state,
    key: ["id"],
    context: ["flow_run_id"],
    columns: ["state_details"],
    short: shortFlowRunState,
  },
];

/** One turn of the sweep. After the last table each turn reads only the mark. */
export function shortenRows(tools: SweepTools): Promise<void> {
  return takeTurn(tools, {
    name: MARK,
    most: AT_ONCE,
    steps: STEPS,
    tries: MAX_TRIES,
    begin: (mark) => (mark === DONE ? null : (mark ?? placeOf(0, []))),
    async step({ place, most, note }) {
      await note();
      const [index, ...after] = JSON.parse(place) as [number, ...string[]];
      const rewrite = REWRITES[index];
      if (!rewrite) return { place: DONE, isEnd: true };
      const rows = await tools.db.rows<OldRow>(selectRows(rewrite, after, Math.max(1, most)));
      if (most > 0) await write(tools, rewrite, rows);
      const last = rows.at(-1);
      if (last)
        return {
          place: placeOf(
            index,
            rewrite.key.map((name) => String(last[name])),
          ),
          isEnd: false,
        };
      const isEnd = index + 1 === REWRITES.length;
      return { place: isEnd ? DONE : placeOf(index + 1, []), isEnd };
    },
  });
}

/** The place after the row with this key. Without a key: the start of the table. */
const placeOf = (index: number, key: readonly string[]): string => JSON.stringify([index, ...key]);

/** Selects rows in the order of their keys. A long value is left out. */
function selectRows(
  { table, key, context, columns, more = sql``, ids }: Rewrite,
  after: readonly string[],
  most: number,
): SQL {
  const values = columns.map((name) => `iif(octet_length("${name}") > ${LONG_BYTES}, null, "${name}") as "${name}"`);
  const keys = sql.raw(key.join(", "));
  const from = sql.join(
    key.map((_, place) => sql`${after[place] ?? ""}`),
    sql`, `,
  );
  return sql`select ${sql.raw([...key, ...context, ...values].join(", "))}${more} from ${table}
    where (${keys}) > (${from}) ${ids ? sql`and workspace_id < x''` : sql``} order by ${keys} limit ${most}`;
}

const hashOf = (row: OldRow): number | null =>
  row["flow_run_id"] === null
    ? null
    : keyHash({ task_key: String(row["task_key"]), dynamic_key: String(row["dynamic_key"]) });

/** Writes the rows that get shorter. A row whose values are not as they were read is not changed. */
async function write({ db }: SweepTools, rewrite: Rewrite, rows: readonly OldRow[]): Promise<void> {
  const changes = rows.flatMap((row) => {
    const short = rewrite.short(row);
    if (rewrite.ids) return JSON.stringify({ row, short, key_hash: hashOf(row) });
    return Object.keys(short).length === 0 ? [] : JSON.stringify({ row, short });
  });
  for (const some of chunksBySize(changes, MAX_STATEMENT_BYTES, byteLength))
    if (some.length > 0) await db.run(updateRows(rewrite, some));
}

function updateRows({ table, key, context, columns, ids }: Rewrite, changes: readonly string[]): SQL {
  const own = (name: string) => `${getTableName(table)}."${name}"`;
  const was = (name: string) => `n.value ->> '$.row.${name}'`;
  const will = (name: string) => `n.value ->> '$.short.${name}'`;
  const sets = columns.map((name) => `"${name}" = coalesce(${will(name)}, ${own(name)})`);
  const isKey = key.map((name) => `${own(name)} = ${was(name)}`);
  // A newer state has a short id although the row has not.
  const isSame = context.map((name) => `${uuidText(own(name))} is ${was(name)}`);
  // A column that is not rewritten may have any value.
  const isUnchanged = columns.map((name) => `(${will(name)} is null or ${own(name)} is ${was(name)})`);
  if (ids) sets.push(...shortIdsOf(table, own), "key_hash = n.value ->> '$.key_hash'");
  return sql`update ${table} set ${sql.raw(sets.join(", "))} from json_each(${`[${changes.join(",")}]`}) n
    where ${sql.raw([...isKey, ...isSame, ...isUnchanged].join(" and "))}`;
}

/** Sets the columns of ids to their short forms. */
function shortIdsOf(table: SQLiteTable, own: (name: string) => string): string[] {
  return columnsOf(table).flatMap(({ name, idForm }) => {
    if (idForm === undefined) return [];
    return `"${name}" = ${idForm === "uuid" ? storedId(own(name)) : shortWorkspaceOf(own(name))}`;
  });
}
