/** Values against JSON Schemas (draft 2020-12), told in the words of Python's `jsonschema`, which clients know. */
import type { JsonSchema, Keyword } from "#lib/json-schema/application";
import { bestMatch, type Failure, pathTo } from "#lib/json-schema/failure";
import { KEYWORDS } from "#lib/json-schema/keywords";
import { META_KEYWORDS, META_SCHEMA } from "#lib/json-schema/meta-schema";
import { UnusableSchema } from "#lib/json-schema/unusable";
import { Validation } from "#lib/json-schema/validation";
import { log } from "#lib/log";
import { InvalidPattern } from "#lib/pattern/syntax";
import { Steps, TooManySteps } from "#lib/steps";

/** What is wrong with a value. */
export interface SchemaProblem {
  /** Where, from the root: names and indexes. */
  path: (string | number)[];
  message: string;
}

/** How many steps checks by schemas may take in one request: well under a second. */
const MAX_STEPS = 5_000_000;

/** The steps of checks that belong together; `times` as many where a request is about many things. */
export function schemaSteps(times = 1): Steps {
  return new Steps(times * MAX_STEPS);
}

/** What is wrong with the value: the one thing that tells most, or undefined. Formats are not looked at. Throws `UnusableSchema`. */
export function validateSchema(value: unknown, schema: JsonSchema, steps = schemaSteps()): SchemaProblem | undefined {
  const told = bestMatch(failuresOf(value, schema, KEYWORDS, steps));
  return told && { path: pathTo(told.place), message: told.message() };
}

/** What is wrong with the schema itself, or undefined. Throws `UnusableSchema` where finding out takes too much work. */
export function schemaProblem(schema: unknown, steps = schemaSteps()): string | undefined {
  // Prefect: of a schema's faults the first is told, of a value's the one that tells most.
  return failuresOf(schema, META_SCHEMA, META_KEYWORDS, steps)[0]?.message();
}

type Keywords = ReadonlyMap<string, Keyword>;

function failuresOf(value: unknown, schema: JsonSchema, keywords: Keywords, steps: Steps): readonly Failure[] {
  try {
    const { failures, unsupported } = new Validation(value, schema, keywords, steps);
    for (const [pattern, reason] of unsupported)
      log({}, "warn", "values are not checked by a pattern", { pattern: pattern.slice(0, SHOWN), reason });
    return failures;
  } catch (error) {
    if (error instanceof TooManySteps)
      throw new UnusableSchema("costly", `The schema takes too much work to validate by. ${error.message}`);
    if (error instanceof InvalidPattern) throw new UnusableSchema("invalid", error.message);
    throw error;
  }
}

/** How much of a pattern a warning shows. */
const SHOWN = 200;
