/** Checks values with JSON Schemas (draft 2020-12). The messages are the messages of Python's `jsonschema`, which clients know. */
import { type Application, type JsonSchema, type Keyword, UnusableSchema } from "#lib/json-schema/schema";
import { bestMatch, type Failure, pathTo } from "#lib/json-schema/failure";
import { hasFormat } from "#lib/json-schema/formats";
import { KEYWORDS } from "#lib/json-schema/keywords";
import { PLACEHOLDER, Validation } from "#lib/json-schema/validation";
import { pythonText } from "#lib/json-value";
import { log } from "#lib/log";
import { isPattern } from "#lib/pattern";
import { InvalidPattern } from "#lib/pattern/syntax";
import { Steps, TooManySteps } from "#lib/steps";
import metaSchema from "./json-schema/meta-schema.json";

export { PLACEHOLDER };

/** A fault of a value. */
export interface SchemaProblem {
  /** The path to the fault: names and indexes, from the root. */
  path: (string | number)[];
  message: string;
}

/** How many steps the checks of one request may take. So many steps take well under a second. */
const MAX_STEPS = 5_000_000;

/** Returns the steps that the checks of one request share: `times` as many for a request with many checks. */
export function schemaSteps(times = 1): Steps {
  return new Steps(times * MAX_STEPS);
}

/** Returns the most relevant fault of the value, or undefined. Formats are not checked. Throws `UnusableSchema`. */
export function validateSchema(value: unknown, schema: JsonSchema, steps = schemaSteps()): SchemaProblem | undefined {
  const told = bestMatch(failuresOf(value, schema, KEYWORDS, steps));
  return told && { path: pathTo(told.place), message: told.message() };
}

/** A fault of a value among all its faults. */
export interface SchemaFault extends SchemaProblem {
  /** The keyword that the value does not meet; `PLACEHOLDER` if the value stands for a fault. */
  keyword: string;
  value: unknown;
}

/**
 * Returns all faults of the value, in the order of the schema. Formats are checked. A symbol among the values has no type. `messageOf` gives
 * the fault for which a symbol stands, or undefined. Throws `UnusableSchema`.
 */
export function schemaFaults(
  value: unknown,
  schema: JsonSchema,
  messageOf: (symbol: symbol) => string | undefined,
  steps: Steps,
): SchemaFault[] {
  const placeholder: Keyword = (at) => {
    const message = typeof at.value === "symbol" ? messageOf(at.value) : undefined;
    if (message !== undefined) at.fail(() => message);
  };
  const keywords = new Map([...KEYWORDS, ["format", format], [PLACEHOLDER, placeholder]]);
  const failures = failuresOf(value, schema, keywords, steps);
  return bounded(() => failures.map((failure) => faultOf(failure, steps)));
}

/** How many characters of a fault's message and path count as one step. A message may be as long as the value, and a schema may have many. */
const CHARACTERS_OF_STEP = 4;

function faultOf({ place, message, keyword, value }: Failure, steps: Steps): SchemaFault {
  steps.spend(place?.depth ?? 0);
  const fault = { path: pathTo(place), message: message(), keyword, value };
  const characters = fault.path.reduce<number>((sum, step) => sum + String(step).length, fault.message.length);
  steps.spend(Math.ceil(characters / CHARACTERS_OF_STEP));
  return fault;
}

/** Returns the schema's first fault, or undefined. Throws `UnusableSchema` if the check takes too many steps. */
export function schemaProblem(schema: unknown, steps = schemaSteps()): string | undefined {
  // Prefect: the answer names the first fault of a schema, so the keywords have the order of the original's schema of schemas.
  return failuresOf(schema, metaSchema, SCHEMA_KEYWORDS, steps)[0]?.message();
}

type Keywords = ReadonlyMap<string, Keyword>;

/** The keywords by which schemas are checked. */
const SCHEMA_KEYWORDS: Keywords = new Map([...KEYWORDS, ["format", format]]);

function format(at: Application, rule: unknown): void {
  const { value } = at;
  if (typeof value !== "string") return;
  at.spend(value.length);
  if (!(rule === "regex" ? isPattern(value) : hasFormat(value, rule)))
    at.fail(() => `${pythonText(value)} is not a ${pythonText(rule)}`);
}

function failuresOf(value: unknown, schema: JsonSchema, keywords: Keywords, steps: Steps): readonly Failure[] {
  const { failures, unsupported } = bounded(() => new Validation(value, schema, keywords, steps));
  for (const [pattern, reason] of unsupported)
    log({}, "warn", "values are not checked by a pattern", { pattern: pattern.slice(0, SHOWN), reason });
  return failures;
}

/** Gives the result of the work. Throws `UnusableSchema` if it takes too many steps, or if a pattern is invalid. */
function bounded<T>(work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (error instanceof TooManySteps)
      throw new UnusableSchema("costly", `The schema takes too much work to validate by. ${error.message}`);
    if (error instanceof InvalidPattern) throw new UnusableSchema("invalid", error.message);
    throw error;
  }
}

/** How many characters of a pattern a warning shows. */
const SHOWN = 200;
