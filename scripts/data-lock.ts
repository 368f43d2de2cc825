/** The lock of a data folder: one server at a time, for two servers would each grant the same slot. */
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { readPid } from "./processes.ts";

/** Says that another server uses the folder. */
export class DataInUse extends Error {
  /** The process id of that server, where it is known. */
  readonly pid: number | null;

  constructor(folder: string, pid: number | null) {
    super(`${folder} is the data of another server${pid === null ? "" : `, process ${pid}`}`);
    this.pid = pid;
  }
}

/** A lock of this process. */
export interface DataLock {
  release(): void;
}

const FILE = "server.lock";
const PID_FILE = "server.pid";

/**
 * Locks a folder until `release` or until this process ends, however it ends: the lock is SQLite's own on an open file,
 * and the system releases it with the process. So no lock outlives its process; the process id beside the lock is for
 * messages. Throws `DataInUse`, and what the file system throws.
 */
export function lockData(folder: string): DataLock {
  mkdirSync(folder, { recursive: true });
  const pidFile = join(folder, PID_FILE);
  // The caller keeps a reference to the database: a database that is garbage collected releases its lock.
  const database = new DatabaseSync(join(folder, FILE), { timeout: 0 });
  try {
    // No journal in a file: there is nothing to roll back.
    database.exec("pragma journal_mode = memory; begin exclusive");
  } catch (error) {
    database.close();
    if (!isBusy(error)) throw error;
    throw new DataInUse(folder, readPid(pidFile));
  }
  writeFileSync(pidFile, `${process.pid}\n`);
  return {
    release() {
      rmSync(pidFile, { force: true });
      database.close();
    },
  };
}

const SQLITE_BUSY = 5;

function isBusy(error: unknown): boolean {
  return error instanceof Error && "errcode" in error && error.errcode === SQLITE_BUSY;
}
