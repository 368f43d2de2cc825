/** Reads the data folder of a local server: the file of its D1, and the objects of its R2. */
import { globSync, statSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";

/** How long a read waits for a lock of the server. */
const LOCK_TIMEOUT_MS = 5_000;

/** The file of the server's D1. Throws unless exactly one SQLite file in a folder `d1` has the table of flow runs. */
export function findD1File(data: string): string {
  const files = globSync("**/d1/**/*.sqlite", { cwd: data }).map((file) => join(data, file));
  const [file, ...others] = files.filter(hasFlowRuns);
  if (file === undefined) throw new Error(`--data ${data}: no D1 of a server is below this folder`);
  if (others.length > 0) throw new Error(`--data ${data}: ${others.length + 1} databases below it have flow runs`);
  return file;
}

/**
 * Opens a SQLite file, reads it and closes it. The server may use the file at the same time. All statements of `read`
 * see the same state of the database.
 */
export function readDatabase<Result>(file: string, read: (database: DatabaseSync) => Result): Result {
  const database = new DatabaseSync(file, { readOnly: true, timeout: LOCK_TIMEOUT_MS });
  try {
    database.exec("begin");
    return read(database);
  } finally {
    database.close();
  }
}

/** The bytes of all objects in R2; 0 without R2. Miniflare keeps the content of an object in files of a folder `blobs`. */
export function countR2Bytes(data: string): number {
  let bytes = 0;
  for (const file of globSync("**/r2/**/blobs/**", { cwd: data })) {
    // The server may delete a file after it was listed.
    const stats = statSync(join(data, file), { throwIfNoEntry: false });
    if (stats?.isFile() === true) bytes += stats.size;
  }
  return bytes;
}

function hasFlowRuns(file: string): boolean {
  return readDatabase(
    file,
    (database) => database.prepare("select 1 from sqlite_schema where name = 'flow_run'").get() !== undefined,
  );
}
