/** The first parts of the keys of the archive. The last part of a key is the digest of its bundle. */
import type { Micros } from "#lib/clock";
import { printTime } from "#wire/dates";

/** The events of an hour. `hour` is its start. */
export const eventsPrefix = (workspaceId: string, hour: Micros) => `${workspaceId}/events/${printTime(hour)}`;

/** A run that is past its retention, with all that belongs to it. */
export const runPrefix = (workspaceId: string, runId: string) => `${workspaceId}/runs/${runId}`;

/** The logs of a run that ended long ago. */
export const logsPrefix = (workspaceId: string, runId: string) => `${workspaceId}/logs/${runId}`;
