/** The key with which the keys of workspaces are encrypted (docs/secrets.md). */
import { randomBytes } from "node:crypto";
import { chmodSync, existsSync, linkSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const KEY_BYTES = 32;
/** The file of the key in the folder of a local server's data. */
const FILE = "secrets.key";

/** A new key in base64. */
export const makeSecretsKey = (): string => randomBytes(KEY_BYTES).toString("base64");

/** The key in a folder. If there is none, a new key is written, which only the owner of the file can read. */
export function keepSecretsKey(folder: string): string {
  mkdirSync(folder, { recursive: true });
  const path = join(folder, FILE);
  if (!existsSync(path)) writeWhole(path, makeSecretsKey());
  chmodSync(path, 0o600);
  return readFileSync(path, "utf8").trim();
}

/** Puts a new key before the keys in a folder. The first key encrypts, and all decrypt. */
export function addSecretsKey(folder: string): void {
  const present = keepSecretsKey(folder);
  const path = join(folder, FILE);
  const draft = `${path}.new`;
  writeFileSync(draft, `${makeSecretsKey()},${present}\n`, { mode: 0o600, flush: true });
  renameSync(draft, path);
}

/** Writes a file that is there with its whole content or not at all, and that does not replace another one. */
function writeWhole(path: string, text: string): void {
  const draft = `${path}.${process.pid}`;
  writeFileSync(draft, `${text}\n`, { mode: 0o600, flush: true });
  try {
    linkSync(draft, path);
  } catch (error) {
    if (!existsSync(path)) throw error;
  } finally {
    rmSync(draft, { force: true });
  }
}
