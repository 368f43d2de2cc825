/** The keywords that combine schemas. An outcome that is unknown, for its pattern cannot be run, is no failure. */
import type { Application, Keyword } from "#lib/json-schema/application";
import type { Failure } from "#lib/json-schema/failure";
import { pythonText } from "#lib/json-value";

const list = (rule: unknown): readonly unknown[] => (Array.isArray(rule) ? rule : []);
const shown = ({ value }: Application) => pythonText(value);

function allOf(at: Application, rule: unknown): void {
  for (const schema of list(rule)) at.apply(at.value, schema);
}

function anyOf(at: Application, rule: unknown): void {
  const failures: Failure[] = [];
  if (list(rule).some((schema) => at.judge(at.value, schema, undefined, failures) !== "invalid")) return;
  if (Array.isArray(rule)) at.fail(() => `${shown(at)} is not valid under any of the given schemas`, failures);
}

function oneOf(at: Application, rule: unknown): void {
  const failures: Failure[] = [];
  const valid: unknown[] = [];
  let isPossible = false;
  for (const schema of list(rule)) {
    const verdict = at.judge(at.value, schema, undefined, isPossible ? undefined : failures);
    if (verdict === "valid") valid.push(schema);
    isPossible ||= verdict !== "invalid";
  }
  // Prefect: the first valid schema is named last.
  const named = () => [...valid.slice(1), valid[0]].map(pythonText).join(", ");
  if (valid.length > 1) at.fail(() => `${shown(at)} is valid under each of ${named()}`);
  else if (Array.isArray(rule) && !isPossible)
    at.fail(() => `${shown(at)} is not valid under any of the given schemas`, failures);
}

function not(at: Application, rule: unknown): void {
  if (at.judge(at.value, rule) === "valid") at.fail(() => `${shown(at)} should not be valid under ${pythonText(rule)}`);
}

function when(at: Application, rule: unknown): void {
  const verdict = at.judge(at.value, rule);
  const branch = verdict === "valid" ? at.schema["then"] : at.schema["else"];
  if (verdict !== "unknown" && branch !== undefined) at.apply(at.value, branch);
}

/** The keywords of this file. */
export const CHOICES: readonly [string, Keyword][] = [
  ["allOf", allOf],
  ["anyOf", anyOf],
  ["oneOf", oneOf],
  ["not", not],
  ["if", when],
];
