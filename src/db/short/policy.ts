/**
 * The policies of runs (`empirical_policy`) in a short form: the values of the fields as an array, in the order of this
 * file. The array ends before the fields that have the values of a stock client. So most policies are `[]`.
 */
import { type SQL, sql } from "drizzle-orm";
import { readJson } from "#db/database";
import { itemsOf, type ShortForm, shorter } from "#db/short/form";
import type { FlowRunPolicy, TaskRunPolicy } from "#wire/runs";

type Policy = Readonly<Record<string, unknown>>;

/** The fields of a policy: the name, the value that a field has if it is not given, and the value that a stock client gives. */
type Fields = readonly (readonly [name: string, absent: unknown, stock: unknown])[];

const RETRIES = [
  ["retries", null, 0],
  ["retry_delay", null, 0],
] as const;
/** Old names of `retries` and `retry_delay`. */
const RETIRED = [
  ["max_retries", 0, 0],
  ["retry_delay_seconds", 0, 0],
] as const;

function policyForm<T extends object>(fields: Fields) {
  const absent = Object.fromEntries(fields.map(([name, value]) => [name, value]));
  const read = (text: string): T => {
    const items = itemsOf(text);
    if (!items) return { ...absent, ...readJson<Policy | null>(text) } as T;
    return Object.fromEntries(
      fields.map(([name, , stock], index) => [name, index < items.length ? items[index] : stock]),
    ) as T;
  };
  const write = (value: unknown): string => {
    const policy = value as Policy;
    const text = JSON.stringify(policy);
    if (Object.keys(policy).some((name) => !Object.hasOwn(absent, name))) return text;
    const items = fields.map(([name, whenAbsent, stock]) => {
      const item = JSON.stringify(policy[name] === undefined ? whenAbsent : policy[name]);
      return { item, isStock: item === JSON.stringify(stock) };
    });
    const length = items.findLastIndex(({ isStock }) => !isStock) + 1;
    return shorter(
      `[${items
        .slice(0, length)
        .map(({ item }) => item)
        .join()}]`,
      text,
    );
  };
  return { read, write } satisfies ShortForm;
}

/** Policies of flow runs. A policy that was read has every field. Never change the order: add fields at the end. */
export const flowPolicyForm = policyForm<FlowRunPolicy>([
  ...RETRIES,
  ["pause_keys", [], []],
  ["resuming", false, false],
  ["retry_type", null, null],
  ...RETIRED,
]);

/** Policies of task runs. A policy that was read has every field. Never change the order: add fields at the end. */
export const taskPolicyForm = policyForm<TaskRunPolicy>([...RETRIES, ["retry_jitter_factor", null, null], ...RETIRED]);

/** The `retry_type` of the policy of a flow run `r`; null if the policy cannot be read. */
export const RETRY_TYPE: SQL = sql.raw(
  `(select coalesce(policy ->> '$.retry_type', policy ->> '$[4]')
    from (select iif(json_valid(r.empirical_policy), r.empirical_policy, '[]') as policy))`,
);
