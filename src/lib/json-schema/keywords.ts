/** The keywords of draft 2020-12, with the messages of Python's `jsonschema`. A rule of a wrong type checks nothing. */
import type { Application, Keyword } from "#lib/json-schema/schema";
import { isExactNumber } from "#lib/json";
import type { Failure } from "#lib/json-schema/failure";
import { unevaluatedItems, unevaluatedProperties } from "#lib/json-schema/unevaluated";
import { isIntegerText, isObject, isType, numeric, pythonText } from "#lib/json-value";

type Compare = (value: number | bigint, bound: number | bigint) => boolean;

const list = (rule: unknown): readonly unknown[] => (Array.isArray(rule) ? rule : []);
const names = (values: readonly unknown[]) => values.map(pythonText).join(", ");
const shown = ({ value }: Application) => pythonText(value);

function type(at: Application, rule: unknown): void {
  const types = [rule].flat();
  if (types.some((name) => isType(at.value, name))) return;
  at.fail(() => `${shown(at)} is not of type ${names(types)}`);
}

function oneOfValues(at: Application, rule: unknown): void {
  if (Array.isArray(rule) && !at.keysOf(rule).has(at.keyOf(at.value)))
    at.fail(() => `${shown(at)} is not one of ${pythonText(rule)}`);
}

function oneValue(at: Application, rule: unknown): void {
  if (at.keyOf(at.value) !== at.keyOf(rule)) at.fail(() => `${pythonText(rule)} was expected`);
}

const bound =
  (isWrong: Compare, words: string): Keyword =>
  (at, rule) => {
    const [value, limit] = [numeric(at.value), numeric(rule)];
    if (value !== undefined && limit !== undefined && isWrong(value, limit))
      at.fail(() => `${shown(at)} is ${words} of ${pythonText(rule)}`);
  };

/** How many digits of a division count as one step. */
const DIGITS_OF_STEP = 32;
const digitsOf = (value: unknown) => (isExactNumber(value) ? value.rawJSON.length : 0);

function multipleOf(at: Application, rule: unknown): void {
  at.spend(Math.ceil((digitsOf(at.value) + digitsOf(rule)) / DIGITS_OF_STEP));
  const [value, divisor] = [numeric(at.value), numeric(rule)];
  if (value === undefined || divisor === undefined || isMultiple(value, divisor, isIntegerText(rule))) return;
  at.fail(() => `${shown(at)} is not a multiple of ${pythonText(rule)}`);
}

/** Prefect: division by a float is float division, so 0.3 is not a multiple of 0.1. Division by an integer is exact. */
function isMultiple(value: number | bigint, divisor: number | bigint, isExact: boolean): boolean {
  if (Number(divisor) === 0) return false;
  if (!isExact) return isWholeQuotient(Number(value), Number(divisor));
  if (typeof value === "number" && !Number.isInteger(value)) return false;
  return BigInt(value) % BigInt(divisor) === 0n;
}

/** If the quotient is larger than any float, the remainder is exact. */
function isWholeQuotient(value: number, divisor: number): boolean {
  const quotient = value / divisor;
  return Number.isFinite(quotient) ? Number.isInteger(quotient) : value % divisor === 0;
}

/** Makes a keyword for the smallest or the largest length of a text, a list or an object. `words` describe the fault. */
const size =
  (side: "least" | "most", type: "string" | "array" | "object", words: string): Keyword =>
  (at, rule) => {
    const limit = Number(numeric(rule));
    if (!isType(at.value, type) || Number.isNaN(limit)) return;
    const length = lengthOf(at);
    if (side === "least" && length < limit)
      at.fail(() => `${shown(at)} ${limit === 1 ? "should be non-empty" : words}`);
    if (side === "most" && length > limit)
      at.fail(() => `${shown(at)} ${limit === 0 ? "is expected to be empty" : words}`);
  };

function lengthOf(at: Application): number {
  const { value } = at;
  if (Array.isArray(value)) return value.length;
  if (typeof value === "string") {
    at.spend(value.length);
    return value.length - (value.match(/[\uD800-\uDBFF][\uDC00-\uDFFF]/g)?.length ?? 0);
  }
  const { length } = Object.keys(value ?? {});
  at.spend(length);
  return length;
}

function pattern(at: Application, rule: unknown): void {
  if (typeof at.value !== "string" || typeof rule !== "string" || at.isFound(rule, at.value)) return;
  at.fail(() => `${shown(at)} does not match ${pythonText(rule)}`);
}

function uniqueItems(at: Application, rule: unknown): void {
  if (rule !== true || !Array.isArray(at.value)) return;
  if (new Set(at.value.map((item) => at.keyOf(item))).size < at.value.length)
    at.fail(() => `${shown(at)} has non-unique elements`);
}

function prefixItems(at: Application, rule: unknown): void {
  if (!Array.isArray(at.value)) return;
  for (const [index, schema] of list(rule).slice(0, at.value.length).entries())
    at.apply(at.value[index], schema, index);
}

function items(at: Application, rule: unknown): void {
  const { value } = at;
  if (!Array.isArray(value)) return;
  const before = list(at.schema["prefixItems"]).length;
  const extra = value.length - before;
  if (rule === false && extra > 0) {
    const rest = () => pythonText(extra === 1 ? value[before] : value.slice(before));
    at.fail(() => `Expected at most ${before} ${before === 1 ? "item" : "items"} but found ${extra} extra: ${rest()}`);
    return;
  }
  for (let index = before; index < value.length; index++) at.apply(value[index], rule, index);
}

function contains(at: Application, rule: unknown): void {
  if (!Array.isArray(at.value)) return;
  const least = Number(numeric(at.schema["minContains"] ?? 1));
  const most = Number(numeric(at.schema["maxContains"] ?? at.value.length));
  const verdicts = at.value.map((item) => at.judge(item, rule));
  const sure = verdicts.filter((verdict) => verdict === "valid").length;
  const possible = verdicts.filter((verdict) => verdict !== "invalid").length;
  if (sure > most) at.fail(() => `Too many items match the given schema (expected at most ${most})`);
  if (possible >= least) return;
  at.fail(() =>
    possible === 0
      ? `${shown(at)} does not contain items matching the given schema`
      : `Too few items match the given schema (expected at least ${least} but only ${possible} matched)`,
  );
}

function required(at: Application, rule: unknown): void {
  if (!isObject(at.value)) return;
  at.spend(list(rule).length);
  for (const name of list(rule))
    if (typeof name === "string" && !Object.hasOwn(at.value, name))
      at.fail(() => `${pythonText(name)} is a required property`);
}

function dependentRequired(at: Application, rule: unknown): void {
  if (!isObject(at.value) || !isObject(rule)) return;
  for (const [property, needed] of Object.entries(rule)) {
    at.spend(1 + list(needed).length);
    if (!Object.hasOwn(at.value, property)) continue;
    for (const name of list(needed))
      if (typeof name === "string" && !Object.hasOwn(at.value, name))
        at.fail(() => `${pythonText(name)} is a dependency of ${pythonText(property)}`);
  }
}

function dependentSchemas(at: Application, rule: unknown): void {
  if (!isObject(at.value) || !isObject(rule)) return;
  for (const [property, schema] of Object.entries(rule)) {
    at.spend(1);
    if (Object.hasOwn(at.value, property)) at.apply(at.value, schema);
  }
}

function properties(at: Application, rule: unknown): void {
  if (!isObject(at.value) || !isObject(rule)) return;
  for (const [name, schema] of Object.entries(rule)) {
    at.spend(1);
    if (Object.hasOwn(at.value, name)) at.apply(at.value[name], schema, name);
  }
}

function patternProperties(at: Application, rule: unknown): void {
  if (!isObject(at.value) || !isObject(rule)) return;
  for (const [text, schema] of Object.entries(rule))
    for (const [name, value] of Object.entries(at.value))
      if (at.isFound(text, name) === true) at.apply(value, schema, name);
}

function propertyNames(at: Application, rule: unknown): void {
  if (!isObject(at.value)) return;
  for (const name of Object.keys(at.value)) at.apply(name, rule);
}

function additionalProperties(at: Application, rule: unknown): void {
  if (!isObject(at.value)) return;
  const { properties: known, patternProperties: patterns } = at.schema;
  const texts = isObject(patterns) ? Object.keys(patterns) : [];
  at.spend(Object.keys(at.value).length);
  const extras = Object.keys(at.value).filter(
    (name) => !(isObject(known) && Object.hasOwn(known, name)) && !texts.some((text) => at.isFound(text, name)),
  );
  if (rule !== false) {
    for (const name of extras) at.apply(at.value[name], rule, name);
    return;
  }
  if (extras.length === 0) return;
  const sorted = extras.toSorted();
  at.fail(() =>
    patterns === undefined
      ? `Additional properties are not allowed (${names(sorted)} ${sorted.length === 1 ? "was" : "were"} unexpected)`
      : `${names(sorted)} ${sorted.length === 1 ? "does" : "do"} not match any of the regexes: ${names(texts.toSorted())}`,
  );
}

// The next keywords combine schemas. The outcome "unknown", of a pattern that cannot be run, does not count as a failure.
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
  const named = () => names([...valid.slice(1), valid[0]]);
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

function reference(at: Application, rule: unknown): void {
  if (typeof rule === "string") at.applyTarget(at.resolve(rule));
}

/** Each keyword that checks a value. */
export const KEYWORDS: ReadonlyMap<string, Keyword> = new Map<string, Keyword>([
  ["allOf", allOf],
  ["anyOf", anyOf],
  ["oneOf", oneOf],
  ["not", not],
  ["if", when],
  ["$ref", reference],
  ["$dynamicRef", reference],
  ["type", type],
  ["enum", oneOfValues],
  ["const", oneValue],
  ["minimum", bound((value, limit) => value < limit, "less than the minimum")],
  ["maximum", bound((value, limit) => value > limit, "greater than the maximum")],
  ["exclusiveMinimum", bound((value, limit) => value <= limit, "less than or equal to the minimum")],
  ["exclusiveMaximum", bound((value, limit) => value >= limit, "greater than or equal to the maximum")],
  ["multipleOf", multipleOf],
  ["minLength", size("least", "string", "is too short")],
  ["maxLength", size("most", "string", "is too long")],
  ["pattern", pattern],
  ["minItems", size("least", "array", "is too short")],
  ["maxItems", size("most", "array", "is too long")],
  ["uniqueItems", uniqueItems],
  ["prefixItems", prefixItems],
  ["items", items],
  ["contains", contains],
  ["unevaluatedItems", unevaluatedItems],
  ["minProperties", size("least", "object", "does not have enough properties")],
  ["maxProperties", size("most", "object", "has too many properties")],
  ["required", required],
  ["dependentRequired", dependentRequired],
  ["dependentSchemas", dependentSchemas],
  ["properties", properties],
  ["patternProperties", patternProperties],
  ["propertyNames", propertyNames],
  ["additionalProperties", additionalProperties],
  ["unevaluatedProperties", unevaluatedProperties],
]);
