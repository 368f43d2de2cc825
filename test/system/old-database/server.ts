/** Where the fixtures are, where a server keeps its database, and the settings under which old data stays as it is. */
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { brotliCompressSync, brotliDecompressSync, constants } from "node:zlib";

/** The commits whose databases are stored, each in the folder with its name. */
export const COMMITS = ["05277ef", "c52b87c"] as const;

/** The files of a fixture. */
export function filesOf(commit: string) {
  const folder = join(import.meta.dirname, commit);
  return {
    database: join(folder, "d1.sqlite.br"),
    /** A request in each line. */
    requests: join(folder, "requests.jsonl"),
    /** A list of answers, one for each request. */
    answers: join(folder, "answers.json.br"),
  };
}

const CENTURY = String(100 * 365 * 86_400);

/** No service changes a run, and nothing is too old. */
export const SETTINGS: Record<string, string> = {
  ...Object.fromEntries(
    ["SCHEDULER", "LATE_RUNS", "PAUSE_EXPIRATIONS", "CANCELLATION_CLEANUP", "FOREMAN", "ZOMBIES", "LAZARUS"].map(
      (service) => [`PREFECT_SERVER_SERVICES_${service}_ENABLED`, "false"],
    ),
  ),
  PREFECT_SERVER_SERVICES_DB_VACUUM_ENABLED: "false",
  PREFECT_SERVER_SERVICES_DB_VACUUM_RETENTION_PERIOD: CENTURY,
  PREFECT_SERVER_SERVICES_DB_VACUUM_EVENT_RETENTION_OVERRIDES: "{}",
  PREFECT_SERVER_EVENTS_RETENTION_PERIOD: CENTURY,
};

/** The file of the database in a server's data folder. miniflare makes its name of the database's name, "sluice". */
export function databaseIn(data: string): string {
  const folder = join(data, "d1", "miniflare-D1DatabaseObject");
  mkdirSync(folder, { recursive: true });
  return join(folder, "5d5c6ecc6756161bee93ac071079038f3ea399b63ecd45dfec346c94258faf8b.sqlite");
}

/** Compresses a file of a fixture. Brotli finds repeated rows in the whole file, and gzip only in 32 KB. */
export function compress(content: string | Buffer): Buffer {
  const { BROTLI_PARAM_LGWIN, BROTLI_MAX_WINDOW_BITS } = constants;
  return brotliCompressSync(content, { params: { [BROTLI_PARAM_LGWIN]: BROTLI_MAX_WINDOW_BITS } });
}

/** Puts the database of a fixture into an empty data folder. */
export function unpackDatabase(commit: string, data: string): void {
  writeFileSync(databaseIn(data), brotliDecompressSync(readFileSync(filesOf(commit).database)));
}
