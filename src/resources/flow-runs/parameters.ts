/** Parameters of deployments and their runs: fills in templates, and checks parameters by the deployment's schema. */
import { sql } from "drizzle-orm";
import { readOptionalJson } from "#db/database";
import { variable } from "#db/tables/variable";
import { conflict, refused, unprocessable } from "#lib/api-error";
import { UnusableSchema } from "#lib/json-schema/schema";
import { isObject } from "#lib/json-value";
import type { Tools } from "#tools";
import { hydrate, HydrationError, variableNames } from "#wire/hydration";
import { MAX_VARIABLE_NAME_CHARACTERS } from "#wire/sizes";
import { type Leniency, valuesProblem } from "#wire/parameters";
import { list } from "#db/sql";

type Parameters = Record<string, unknown>;

/** How many variables one request may name. */
const MAX_VARIABLES = 1_000;

/** Gives the variables that the values name. Throws 400 for too many variables. Without names reads nothing. */
export async function readVariables(tools: Tools, values: readonly unknown[]): Promise<Map<string, unknown>> {
  const names = variableNames(values);
  if (names.size > MAX_VARIABLES) throw refused(400, `Values may stand for at most ${MAX_VARIABLES} variables.`);
  // No variable has a longer name, so such names are not read.
  const possible = [...names].filter((name) => name.length <= MAX_VARIABLE_NAME_CHARACTERS);
  if (possible.length === 0) return new Map();
  const rows = await tools.db.rows<{ name: string; value: string | null }>(
    sql`select name, value from ${variable} where workspace_id = ${tools.workspaceId} and name in ${list(possible)}`,
  );
  return new Map(rows.map(({ name, value }) => [name, readOptionalJson<unknown>(value)]));
}

/** Gives the parameters with all templates filled in. Throws 400. `what` is the kind of parameters in the message. */
export function fillIn(parameters: Parameters, variables: ReadonlyMap<string, unknown>, what: string): Parameters {
  try {
    return hydrate(parameters, variables);
  } catch (error) {
    if (error instanceof HydrationError) throw refused(400, `Error hydrating ${what} parameters: ${error.message}`);
    throw error;
  }
}

/** Throws 409 if the schema does not allow the parameters. Throws 409 or 422 for a schema that cannot check. */
export function enforceSchema(parameters: Parameters, schema: unknown, doing: string, leniency: Leniency = {}): void {
  if (!isObject(schema)) {
    throw conflict(
      "Error updating deployment: Cannot update parameters because parameter schema enforcement is enabled and the" +
        " deployment does not have a valid parameter schema.",
    );
  }
  try {
    const problem = valuesProblem(parameters, schema, leniency);
    if (problem) throw conflict(`Error ${doing}: ${problem}`);
  } catch (error) {
    if (error instanceof UnusableSchema) throw unprocessable(`Invalid schema: ${error.message}`);
    throw error;
  }
}
