/**
 * Creates requests from the schemas of the OpenAPI document. Most requests are valid except for one or two hostile
 * values.
 */
import * as fc from "fast-check";
import { hostile, hostileWords } from "./hostile.ts";
import { objectsOf } from "./objects.ts";
import { isNeeded, kindOfParameter, rangeOf, textsOf, type Hint } from "./hints.ts";

/** The keywords of JSON Schema that the document uses. */
export interface Schema {
  $ref?: string;
  type?: string | string[];
  format?: string;
  enum?: unknown[];
  const?: unknown;
  anyOf?: Schema[];
  oneOf?: Schema[];
  items?: Schema;
  prefixItems?: Schema[];
  properties?: Record<string, Schema>;
  required?: string[];
  additionalProperties?: Schema | boolean;
  minimum?: number;
  maximum?: number;
}

interface Parameter {
  name: string;
  in: "path" | "query";
  required: boolean;
  schema: Schema;
}

interface DescribedOperation {
  parameters: Parameter[];
  requestBody?: { content: { "application/json": { schema: Schema } } };
  responses: Record<string, { content?: { "application/json": { schema: Schema } } }>;
}

/** The OpenAPI document. */
export interface Document {
  paths: Record<string, Record<string, DescribedOperation>>;
  components: { schemas: Record<string, Schema> };
}

/** One operation of the document. */
export interface Operation extends DescribedOperation {
  method: string;
  /** The path of the document, without `/api`. */
  path: string;
}

/** A request with marks for large values and for ids and names of rows. */
export interface Plan {
  operation: Operation;
  method: string;
  path: string;
  body: string | undefined;
}

/** All operations of a document. */
export function operationsOf(document: Document): Operation[] {
  return Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({
      ...operation,
      method: method.toUpperCase(),
      path: path.replace(/^\/api/, ""),
    })),
  );
}

/** The name of an operation: its method and its path. */
export const nameOf = ({ method, path }: Pick<Operation, "method" | "path">) => `${method} ${path}`;

/** One value of this many is hostile. */
const HOSTILE_IN = 11;
const MAX_LEVELS = 9;

/** Creates the requests of a seed. The same seed and document give the same requests. */
export class Requests {
  private readonly operations: Operation[];
  private readonly schemas: Record<string, Schema>;
  private readonly arbitraries = new Map<Operation, fc.Arbitrary<Plan>>();

  /** Requests of the operations with a matching method and path. */
  constructor(document: Document, only = /./) {
    this.operations = operationsOf(document).filter(({ method, path }) => only.test(`${method} ${path}`));
    this.schemas = document.components.schemas;
  }

  /** The names of the operations. */
  get names(): string[] {
    return this.operations.map(nameOf);
  }

  /** So many requests of a seed. */
  sample(seed: number, count: number): Plan[] {
    const weighted = this.operations.map((operation) => ({
      weight: /DELETE|bulk_delete/.test(operation.method + operation.path) ? 1 : operation.requestBody ? 8 : 2,
      arbitrary: fc.constant(operation),
    }));
    const chosen = fc.sample(fc.oneof(...weighted), { seed, numRuns: count });
    return chosen.flatMap((operation, index) => fc.sample(this.planFor(operation), { seed: seed + index, numRuns: 1 }));
  }

  /** So many values of a named schema, as texts with marks. */
  values(name: string, seed: number, count: number): string[] {
    const schema = { $ref: `#/components/schemas/${name}` };
    return fc.sample(this.value(schema, { name: name.toLowerCase(), path: [] }, 1), { seed, numRuns: count });
  }

  private planFor(operation: Operation): fc.Arbitrary<Plan> {
    const known = this.arbitraries.get(operation);
    if (known) return known;
    const parts = operation.path
      .split(/(\{\w+\})/)
      .map((part) => (part.startsWith("{") ? this.pathPart(operation, part.slice(1, -1)) : fc.constant(part)));
    const query = operation.parameters
      .filter((parameter) => parameter.in === "query")
      .map((one) => this.queryPart(one));
    const schema = operation.requestBody?.content["application/json"].schema;
    const body = schema ? this.body(schema, hintOf(operation)) : fc.constant(undefined);
    const made = fc
      .tuple(
        fc.tuple(...parts),
        fc.tuple(...query),
        body,
        oneIn(60, fc.constantFrom("PUT", "PATCH", "HEAD", "OPTIONS")),
      )
      .map(([path, terms, text, otherMethod]): Plan => {
        const search = terms.filter((term) => term !== "").join("&");
        const method = otherMethod ?? operation.method;
        return {
          operation,
          method,
          path: path.join("") + (search === "" ? "" : `?${search}`),
          body: method === "HEAD" || method === "GET" ? undefined : text,
        };
      });
    this.arbitraries.set(operation, made);
    return made;
  }

  private pathPart(operation: Operation, name: string): fc.Arbitrary<string> {
    const kind = kindOfParameter(operation.path, name);
    const words = kind === undefined ? fc.constantFrom(...textsOf({ name, path: [] })).map(unquoted) : thing(kind);
    return fc.oneof(
      { weight: 20, arbitrary: words },
      { weight: 1, arbitrary: fc.uuid() },
      { weight: 2, arbitrary: fc.constantFrom(...hostileWords).map(encoded) },
    );
  }

  private queryPart({ name, required, schema }: Parameter): fc.Arbitrary<string> {
    const valid = this.valid(schema, { name, path: [] }, 1).map(unquoted);
    const value = fc.oneof(
      { weight: 8, arbitrary: valid.map(encoded) },
      { weight: 2, arbitrary: fc.constantFrom(...hostileWords).map(encoded) },
    );
    const term = value.map((text) => `${name}=${text}`);
    return required
      ? fc.oneof({ weight: 20, arbitrary: term }, { weight: 1, arbitrary: fc.constant("") })
      : fc.oneof(term, fc.constant(""));
  }

  private body(schema: Schema, hint: Hint): fc.Arbitrary<string | undefined> {
    return fc.oneof(
      { weight: 60, arbitrary: this.value(schema, hint, 0) },
      {
        weight: 1,
        arbitrary: fc.constantFrom(undefined, "", "{", "nul", "[1,]", "«deep:100000»", "«object:1100»", "\u0000"),
      },
    );
  }

  /** A value of a schema. Some of these values are hostile. */
  private value(schema: Schema, hint: Hint, level: number): fc.Arbitrary<string> {
    return fc.oneof(
      { weight: HOSTILE_IN, arbitrary: this.valid(schema, hint, level) },
      { weight: level === 0 ? 0 : 1, arbitrary: hostile(hostileKind(this.resolve(schema))) },
    );
  }

  private resolve(schema: Schema): Schema {
    const name = schema.$ref?.replace("#/components/schemas/", "");
    return name === undefined ? schema : this.resolve(this.schemas[name] ?? {});
  }

  private valid(given: Schema, hint: Hint, level: number): fc.Arbitrary<string> {
    const schema = this.resolve(given);
    if (schema.const !== undefined) return fc.constant(JSON.stringify(schema.const));
    if (schema.enum) return fc.constantFrom(...schema.enum.map((value) => JSON.stringify(value)));
    const type = Array.isArray(schema.type) ? schema.type[0] : schema.type;
    const branches = schema.anyOf ?? schema.oneOf;
    if (branches && type === undefined) return this.anyOf(branches, hint, level);
    const nullable = Array.isArray(schema.type) && schema.type.includes("null");
    const made = this.ofType(type, schema, hint, level);
    return nullable ? fc.oneof({ weight: 8, arbitrary: made }, { weight: 1, arbitrary: fc.constant("null") }) : made;
  }

  private anyOf(branches: Schema[], hint: Hint, level: number): fc.Arbitrary<string> {
    return fc.oneof(
      ...branches.map((branch) => ({
        weight: branch.type === "null" ? 1 : 6,
        arbitrary: this.valid(branch, hint, level),
      })),
    );
  }

  private ofType(type: string | undefined, schema: Schema, hint: Hint, level: number): fc.Arbitrary<string> {
    switch (type) {
      case "null":
        return fc.constant("null");
      case "boolean":
        return fc.constantFrom("true", "false");
      case "integer":
      case "number":
        return numberOf(type, schema, hint);
      case "array":
        return this.list(schema, hint, level);
      case "object": {
        const likely = objectsOf(hint);
        const made = this.object(schema, hint, level);
        if (!likely) return made;
        const hostiles = likely.hostile.length === 0 ? made : fc.constantFrom(...likely.hostile);
        return fc.oneof(
          { weight: 4, arbitrary: fc.constantFrom(...likely.valid) },
          { weight: 2, arbitrary: hostiles },
          { weight: 1, arbitrary: made },
        );
      }
      case "string":
        return fc.constantFrom(...textsOf(hint, schema.format));
      default:
        return anyJson(hint);
    }
  }

  private list(schema: Schema, hint: Hint, level: number): fc.Arbitrary<string> {
    if (level >= MAX_LEVELS) return fc.constant("[]");
    const inner = schema.prefixItems
      ? fc.tuple(...schema.prefixItems.map((item) => this.value(item, hint, level + 1)))
      : fc.array(this.value(schema.items ?? {}, hint, level + 1), { maxLength: 3 });
    return inner.map((items) => `[${items.join(",")}]`);
  }

  private object(schema: Schema, hint: Hint, level: number): fc.Arbitrary<string> {
    const required = new Set(schema.required);
    const chance = level === 0 ? 2 : 4;
    const fields = Object.entries(schema.properties ?? {})
      .filter(([name]) => level < MAX_LEVELS || required.has(name))
      .map(([name, property]) => {
        const inner = { name, path: [...hint.path, hint.name] };
        const field = this.value(property, inner, level + 1).map((text) => [`${JSON.stringify(name)}:${text}`]);
        const weights = required.has(name) || isNeeded(inner) ? [60, 1] : [1, chance - 1];
        return fc.oneof(
          { weight: weights[0] ?? 1, arbitrary: field },
          { weight: weights[1] ?? 1, arbitrary: fc.constant<string[]>([]) },
        );
      });
    const free = this.freeFields(schema, hint, level);
    const odd = oneIn(
      120,
      fc.constantFrom('"extra":1', '"__proto__":{"a":1}', '"«text:100000»":0', '"id":"x"', '"name":1'),
    );
    return fc
      .tuple(fc.tuple(...fields), free, odd)
      .map(
        ([named, others, extra]) =>
          `{${[...named.flat(), ...others, ...(extra === undefined ? [] : [extra])].join(",")}}`,
      );
  }

  /** Fields with any name, if the schema allows such fields. */
  private freeFields(schema: Schema, hint: Hint, level: number): fc.Arbitrary<string[]> {
    if (typeof schema.additionalProperties !== "object" || level >= MAX_LEVELS) return fc.constant([]);
    if ((hint.name === "resource" || hint.name === "related") && !hint.path.includes("filter")) return resourceFields;
    const key = fc.oneof(
      { weight: 12, arbitrary: fc.constantFrom('"a"', '"n"', '"x.y"', '"prefect.resource.name"') },
      {
        weight: 1,
        arbitrary: fc.constantFrom('"__proto__"', '"«text:100000»"', String.raw`"\u0000"`, String.raw`"\ud800"`, '""'),
      },
    );
    const value = this.value(schema.additionalProperties, { name: "", path: [...hint.path, hint.name] }, level + 1);
    return fc.array(
      fc.tuple(key, value).map(([name, text]) => `${name}:${text}`),
      { maxLength: 3 },
    );
  }
}

const resourceFields = fc
  .tuple(
    fc.oneof(
      {
        weight: 12,
        arbitrary: fc.constantFrom('"prefect.flow-run.«flow_run:0»"', '"prefect.task-run.«task_run:0»"', '"thing.1"'),
      },
      { weight: 1, arbitrary: hostile("text") },
    ),
    oneIn(2, fc.constantFrom('"prefect.resource.role":"flow"', '"prefect.resource.name":"n"', '"a":"«text:1000000»"')),
  )
  .map(([id, other]) => [`"prefect.resource.id":${id}`, ...(other === undefined ? [] : [other])]);

/** Any JSON, for users' parameters and payloads. */
function anyJson(hint: Hint): fc.Arbitrary<string> {
  const leaf = fc.constantFrom(
    "1",
    '"text"',
    "true",
    "null",
    "1.5",
    '{"a":[1,{"b":2}]}',
    "[1,2,3]",
    ...textsOf(hint).slice(0, 2),
  );
  return fc.oneof(
    { weight: 6, arbitrary: leaf },
    { weight: 2, arbitrary: hostile("number") },
    { weight: 2, arbitrary: hostile("other") },
  );
}

function numberOf(type: "integer" | "number", { minimum, maximum }: Schema, hint: Hint): fc.Arbitrary<string> {
  const [low, high] = rangeOf(hint);
  const min = Math.max(low, minimum ?? low);
  const numbers = fc.integer({ min, max: Math.max(min, Math.min(maximum ?? high, high)) }).map(String);
  return type === "integer" || low > 0 ? numbers : fc.oneof(numbers, fc.constantFrom("0.5", "1.25"));
}

function hostileKind(schema: Schema): "number" | "time" | "text" | "other" {
  const branches = (schema.anyOf ?? schema.oneOf ?? [schema]).filter((one) => one.type !== "null");
  if (branches.some((one) => one.format === "date-time" || one.format === "time-delta")) return "time";
  const types = [schema, ...branches].flatMap((one) => one.type ?? []);
  if (types.includes("integer") || types.includes("number")) return "number";
  return types.includes("string") ? "text" : "other";
}

function hintOf(operation: Operation): Hint {
  const parts = operation.path.split("/").filter((part) => part !== "" && !part.startsWith("{"));
  return { name: parts[0] ?? "", path: [] };
}

function thing(kind: string): fc.Arbitrary<string> {
  return fc.nat(5).map((index) => `«${kind}:${index}»`);
}

/** The value in one of so many cases, otherwise undefined. */
function oneIn<T>(times: number, arbitrary: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> {
  return fc.oneof({ weight: times - 1, arbitrary: fc.constant(undefined) }, { weight: 1, arbitrary });
}

const unquoted = (text: string) => (text.startsWith('"') ? text.slice(1, -1) : text);

/** Percent-encodes a text, except for its marks and its invalid percent codes. */
function encoded(text: string): string {
  return text.startsWith("«") || text.startsWith("%") ? text : encodeURIComponent(text);
}
