/** `unevaluatedItems` and `unevaluatedProperties`: rules for items and properties that no other keyword checks. */
import type { Application, JsonSchema } from "#lib/json-schema/schema";
import { isObject, pythonText } from "#lib/json-value";

/** Prefect: items that fail the keyword's own schema have the same message as items that are not allowed. */
export function unevaluatedItems(at: Application): void {
  if (!Array.isArray(at.value)) return;
  const known = evaluatedIn(at, ITEMS);
  const left = at.value.filter((_item, index) => !known.has(String(index)));
  if (left.length > 0) at.fail(() => `Unevaluated items are not allowed (${unexpected(left)} unexpected)`);
}

/** The keyword `unevaluatedProperties`. */
export function unevaluatedProperties(at: Application, rule: unknown): void {
  const { value } = at;
  if (!isObject(value)) return;
  const known = evaluatedIn(at, PROPERTIES);
  const left = Object.keys(value).filter((name) => !known.has(name) && at.judge(value[name], rule, name) === "invalid");
  if (left.length === 0) return;
  at.fail(() =>
    rule === false
      ? `Unevaluated properties are not allowed (${unexpected(left.toSorted())} unexpected)`
      : `Unevaluated properties are not valid under the given schema (${unexpected(left)} unevaluated and invalid)`,
  );
}

function unexpected(values: readonly unknown[]): string {
  return `${values.map(pythonText).join(", ")} ${values.length === 1 ? "was" : "were"}`;
}

/** Returns the names or indexes that the keywords of one schema check, without the names and indexes of the schemas in it. */
type Looks = (at: Application, schema: JsonSchema) => Iterable<string>;

function* ITEMS(at: Application, schema: JsonSchema): Iterable<string> {
  if (!Array.isArray(at.value)) return;
  const { items, prefixItems, contains, unevaluatedItems: own } = schema;
  const upTo = items === undefined ? (Array.isArray(prefixItems) ? prefixItems.length : 0) : at.value.length;
  at.spend(at.value.length);
  for (const [index, item] of at.value.entries()) {
    const fits = (rule: unknown) => rule !== undefined && at.judge(item, rule, index) !== "invalid";
    if (index < upTo || fits(contains) || fits(own)) yield String(index);
  }
}

function* PROPERTIES(at: Application, schema: JsonSchema): Iterable<string> {
  if (!isObject(at.value)) return;
  const { properties, patternProperties, additionalProperties, unevaluatedProperties: own } = schema;
  const texts = isObject(patternProperties) ? Object.keys(patternProperties) : [];
  for (const [name, value] of Object.entries(at.value)) {
    at.spend(1);
    const fits = (rule: unknown) => rule !== undefined && rule !== null && at.judge(value, rule, name) !== "invalid";
    const isNamed = isObject(properties) && Object.hasOwn(properties, name);
    if (isNamed || fits(additionalProperties) || fits(own) || texts.some((text) => at.isFound(text, name))) yield name;
  }
}

/** The names or indexes that the schema checks. Also those that inner schemas check, if the value meets the inner schema. */
function evaluatedIn(at: Application, looks: Looks, schema: unknown = at.schema): Set<string> {
  if (!isObject(schema)) return new Set();
  const found = new Set(looks(at, schema));
  for (const keyword of ["$ref", "$dynamicRef"]) {
    const reference = schema[keyword];
    if (typeof reference !== "string") continue;
    const target = at.resolve(reference);
    add(found, evaluatedIn(at.within(target), looks, target.schema));
  }
  for (const inner of innerSchemas(at, schema)) add(found, evaluatedIn(at, looks, inner));
  return found;
}

function* innerSchemas(at: Application, schema: JsonSchema): Iterable<unknown> {
  for (const keyword of ["allOf", "oneOf", "anyOf"]) {
    const rule = schema[keyword];
    if (!Array.isArray(rule)) continue;
    for (const inner of rule) if (at.judge(at.value, inner) !== "invalid") yield inner;
  }
  const { if: condition, then, else: otherwise, dependentSchemas } = schema;
  if (condition !== undefined) {
    const verdict = at.judge(at.value, condition);
    if (verdict !== "invalid") yield condition;
    if (verdict !== "invalid" && then !== undefined) yield then;
    if (verdict !== "valid" && otherwise !== undefined) yield otherwise;
  }
  if (isObject(dependentSchemas) && isObject(at.value))
    for (const [name, inner] of Object.entries(dependentSchemas)) if (Object.hasOwn(at.value, name)) yield inner;
}

function add(found: Set<string>, more: Iterable<string>): void {
  for (const name of more) found.add(name);
}
