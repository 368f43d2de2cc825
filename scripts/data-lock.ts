/**
 * The lock of a data folder. Only one server may use a folder at a time, because two servers would each grant the same
 * slot.
 */
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { readPid } from "./processes.ts";

/** Another server uses the folder. */
export class DataInUse extends Error {
  /** The process id of the other server, if it is known. */
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
 * Locks a folder until `release` or until this process ends in any way. The lock is SQLite's own lock on an open file,
 * so the system releases it at the end of the process, and no lock outlives its process. The process id beside the lock
 * is only for messages. Throws `DataInUse`, and the errors of the file system.
 */
export function lockData(folder: string): DataLock {
  mkdirSync(folder, { recursive: true });
  const pidFile = join(folder, PID_FILE);
  // The caller keeps a reference to the database, because a database that is garbage collected releases its lock.
  const database = new DatabaseSync(join(folder, FILE), { timeout: 0 });
  try {
    // The journal is not in a file, because there is nothing to roll back.
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
