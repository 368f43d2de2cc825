/**
 * The labels of a flow run in a short form: an array with the key of each label, followed by its value. The keys of the
 * system's labels are their places in `KEYS`. The value null is an id that the row has. Labels with other values than
 * texts and booleans stay an object. The database makes this form, because it merges the labels.
 */
import { type SQL, sql, type SQLWrapper } from "drizzle-orm";
import { readJson } from "#db/database";
import { itemsOf, type ShortForm } from "#db/short/form";

/** Never change the order: add keys at the end. */
const KEYS = [
  "prefect.flow.id",
  "prefect.deployment.id",
  "prefect.worker.name",
  "prefect.worker.type",
  "prefect.work-pool.name",
  "prefect.work-pool.id",
] as const;
/** The columns with the values of the first keys. */
const COLUMNS = ["flow_id", "deployment_id"] as const;

/** The columns of a flow run with which its labels are read. */
export type LabelsRow = Record<"labels" | "flow_id", string> & { deployment_id: string | null };

/** The labels of a flow run. A run never changes its flow and its deployment. */
export function readLabels({ labels, ...row }: LabelsRow): Record<string, unknown> {
  const items = itemsOf(labels);
  if (!items) return readJson<Record<string, unknown>>(labels);
  const pairs: [string, unknown][] = [];
  for (let place = 0; place + 1 < items.length; place += 2) {
    const [key, value] = items.slice(place, place + 2);
    const column = value === null ? COLUMNS[Number(key)] : undefined;
    pairs.push([typeof key === "number" ? (KEYS[key] ?? "") : String(key), column ? row[column] : value]);
  }
  return Object.fromEntries(pairs);
}

/** A row that is not written yet has the object. */
export const labelsForm = {
  read: (labels, row) => readLabels({ ...(row as unknown as LabelsRow), labels }),
  write: (value) => JSON.stringify(value),
} satisfies ShortForm;

/** Joins the cases of a `case` expression. */
const cases = (of: readonly string[], caseOf: (item: string, place: number) => string) =>
  sql.raw(of.map((item, place) => `when ${caseOf(item, place)}`).join(" "));

/** The short form of an expression for labels. `row` has the columns of the flow run (see `column`). */
export function shortLabels(labels: SQLWrapper, column: (name: string) => string): SQL {
  const key = sql`case key ${cases(KEYS, (name, place) => `'${name}' then ${place}`)} else json_quote(key) end`;
  const value = sql`case ${cases(COLUMNS, (name, place) => `key = '${KEYS[place]}' and value = ${column(name)} then 'null'`)}
    when type = 'text' then json_quote(value) else type end`;
  // An escape may stand for a character that a text in SQL cannot have.
  return sql`(select iif(instr(l, '\\') > 0 or exists (select 1 from json_each(l) where type not in ('text', 'true', 'false')), l,
      (select '[' || coalesce(group_concat(${key} || ',' || ${value}, ',' order by id), '') || ']' from json_each(l)))
    from (select ${labels} as l))`;
}

/** The id of the deployment of a flow run by its labels. `r` is the alias of the table. Null if the labels cannot be read. */
export function originId(r: string): SQL {
  const labels = `iif(json_valid(${r}.labels), ${r}.labels, '{}')`;
  return sql.raw(`iif(substr(${r}.labels, 1, 1) = '[',
    (select iif(v.type = 'null', ${r}.deployment_id, v.value) from json_each(${labels}) k join json_each(${labels}) v on v.key = k.key + 1
      where k.key % 2 = 0 and k.type = 'integer' and k.value = 1),
    ${labels} ->> '$."prefect.deployment.id"')`);
}

/** The labels of a flow run as a JSON object. `r` is the alias or the name of the table. */
export function labelsObject(r: string): SQL {
  const key = sql`iif(k.type = 'integer', case k.value ${cases(KEYS, (name, place) => `${place} then '${name}'`)} end, k.value)`;
  const value = sql`case when v.type = 'null' then json_quote(case k.value
    ${cases(COLUMNS, (name, place) => `${place} then ${r}."${name}"`)} end) when v.type = 'text' then json_quote(v.value) else v.type end`;
  const labels = sql.raw(`${r}."labels"`);
  return sql`iif(json_type(${labels}) = 'array', (select json_group_object(${key}, json(${value}) order by k.key)
    from json_each(${labels}) k join json_each(${labels}) v on v.key = k.key + 1 where k.key % 2 = 0), ${labels})`;
}
