/** The stored form of the secret values of a document. */
import { readJson } from "#db/database";
import type { Secret } from "#resources/block-documents/secrets";
import type { Tools } from "#tools";

/** A stored secret value. */
interface Stored {
  path: string[];
  plain: unknown;
}

/** The text of the column `secrets`. */
export async function sealSecrets(_tools: Tools, _id: string, secrets: readonly Secret[]): Promise<string> {
  return JSON.stringify(secrets.map(({ path, value }) => ({ path, plain: value })));
}

/** The secret values of a row. */
export async function openSecrets(_tools: Tools, row: { secrets: string }): Promise<Secret[]> {
  return readJson<Stored[]>(row.secrets).map(({ path, plain }) => ({ path, value: plain }));
}
