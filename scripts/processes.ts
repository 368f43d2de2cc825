/** Reads process ids from files, and checks whether processes run. */
import { readFileSync } from "node:fs";

/** The process id in a file; null if the file does not exist or is not written yet. */
export function readPid(file: string): number | null {
  try {
    return Number(readFileSync(file, "utf8")) || null;
  } catch {
    // Another process writes the file, and may not have written it yet.
    return null;
  }
}

/** Whether a process with this id runs. */
export function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}
