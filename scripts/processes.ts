/** Processes that are known by a process id in a file. */
import { readFileSync } from "node:fs";

/** The process id in a file; null where there is no file, or the file is not written yet. */
export function readPid(file: string): number | null {
  try {
    return Number(readFileSync(file, "utf8")) || null;
  } catch {
    // The file belongs to another process, which may not have written it.
    return null;
  }
}

/** Whether a process of this id runs. */
export function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}
