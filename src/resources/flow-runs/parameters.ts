/** The parameters of deployments and of their runs: their templates are filled in, and the deployment's schema checks them. */
import { sql } from "drizzle-orm";
import { type Database, readJson } from "#db/database";
import { variable } from "#db/tables/variable";
import { conflict, refused, unprocessable } from "#lib/api-error";
import { UnusableSchema } from "#lib/json-schema/unusable";
import { isObject } from "#lib/json-value";
import type { Tools } from "#tools";
import { hydrate, HydrationError, variableNames } from "#wire/hydration";
import { MAX_VARIABLE_NAME_CHARACTERS } from "#wire/names";
import { type Leniency, valuesProblem } from "#wire/parameters";
import { list } from "#db/sql";

type Parameters = Record<string, unknown>;

/** How many variables one request may name. */
const MAX_VARIABLES = 1_000;

/** Gives the variables that the values name. Throws 400 for too many. Reads nothing where the values name none. */
export async function readVariables(tools: Tools, values: readonly unknown[]): Promise<Map<string, unknown>> {
  const names = variableNames(values);
  if (names.size > MAX_VARIABLES) throw refused(400, `Values may stand for at most ${MAX_VARIABLES} variables.`);
  // No variable has a longer name, so such names are not read.
  const possible = [...names].filter((name) => name.length <= MAX_VARIABLE_NAME_CHARACTERS);
  return possible.length === 0 ? new Map() : readNamed(tools.db, tools.workspaceId, possible);
}

async function readNamed(db: Database, workspaceId: string, names: readonly string[]): Promise<Map<string, unknown>> {
  const rows = await db.rows<{ name: string; value: string | null }>(
    sql`select name, value from ${variable}
      where workspace_id = ${workspaceId} and name in ${list(names)}`,
  );
  return new Map(rows.map(({ name, value }) => [name, value === null ? null : readJson<unknown>(value)]));
}

/** Gives the parameters with all templates filled in. Throws 400, whose message has `what` the parameters are. */
export function fillIn(parameters: Parameters, variables: ReadonlyMap<string, unknown>, what: string): Parameters {
  try {
    return hydrate(parameters, variables);
  } catch (error) {
    if (error instanceof HydrationError) throw refused(400, `Error hydrating ${what} parameters: ${error.message}`);
    throw error;
  }
}

/** Throws 409 for parameters that the schema does not allow, or that cannot be checked by the schema. */
export function enforceSchema(parameters: Parameters, schema: unknown, doing: string, leniency: Leniency = {}): void {
  if (!isObject(schema)) {
    throw conflict(
      "Error updating deployment: Cannot update parameters because parameter schema enforcement is enabled and the" +
        " deployment does not have a valid parameter schema.",
    );
  }
  const problem = problemWith(parameters, schema, leniency);
  if (problem) throw conflict(`Error ${doing}: ${problem}`);
}

function problemWith(parameters: Parameters, schema: Parameters, leniency: Leniency): string | undefined {
  try {
    return valuesProblem(parameters, schema, leniency);
  } catch (error) {
    if (!(error instanceof UnusableSchema)) throw error;
    throw unprocessable(`Invalid schema: ${error.message}`);
  }
}
