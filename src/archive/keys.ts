/** The first parts of the keys of the archive. The last part of a key is the digest of its bundle. */
import type { Micros } from "#lib/clock";
import { parseTime, printTime } from "#wire/dates";

/** The events of an hour. `hour` is its start. */
export const eventsPrefix = (workspaceId: string, hour: Micros) => `${workspaceId}/events/${printTime(hour)}`;

/** All objects of a workspace. */
export const workspacePrefix = (workspaceId: string) => `${workspaceId}/`;

/** `workspace/events/hour/digest`, `workspace/logs/start/digest` and `workspace/runs/end/digest`. */
const EVENTS_KEY = /^[^/]+\/events\/(\d{4}-[^/]+Z)\/[0-9a-f]{64}$/;
const LOGS_KEY = /^[^/]+\/logs\/(\d{4}-[^/]+Z)\/[0-9a-f]{64}$/;
const RUNS_KEY = /^[^/]+\/runs\/(\d{4}-[^/]+Z)\/[0-9a-f]{64}$/;

/** The hour in the key of an object with events; undefined for any other key. */
export function hourOfKey(key: string): Micros | undefined {
  const hour = EVENTS_KEY.exec(key)?.[1];
  return hour === undefined ? undefined : parseTime(hour);
}

/** The workspace in a key; undefined for a key that this program has not made. */
export const workspaceOfKey = (key: string): string | undefined => /^[^/]+(?=\/)/.exec(key)?.[0];

/** A key after all keys of a workspace: the character after the slash. */
export const afterWorkspace = (workspaceId: string) => `${workspaceId}0`;

/** Runs past their retention. `end` is the end of the run that ended first. */
export const runsPrefix = (workspaceId: string, end: Micros) => `${workspaceId}/runs/${printTime(end)}`;

/** The logs of runs that ended long ago. `start` is the start of the first run. */
export const logsPrefix = (workspaceId: string, start: Micros) => `${workspaceId}/logs/${printTime(start)}`;

/** The start of the first run in the key of an object with logs; undefined for any other key. */
export function startOfKey(key: string): Micros | undefined {
  const start = LOGS_KEY.exec(key)?.[1];
  return start === undefined ? undefined : parseTime(start);
}

/** The end of the first run in the key of an object with runs; undefined for any other key. */
export function endOfKey(key: string): Micros | undefined {
  const end = RUNS_KEY.exec(key)?.[1];
  return end === undefined ? undefined : parseTime(end);
}
