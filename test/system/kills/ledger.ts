/** What the clients of a test were told is stored, and what the test has counted. */

/** The accepted log lines, events and states of a run. */
export interface AcceptedRun {
  id: string;
  /** The messages of the run's logs. */
  messages: string[];
  /** The ids of the events about the run's thing (`thingOf`). */
  events: string[];
  /** The task runs that a socket has reported: the ids of the states of each. */
  taskRuns: Map<string, string[]>;
}

/** The resource of a run's events. */
export const thingOf = (runId: string): string => `kills.thing.${runId}`;

export class Ledger {
  /** The runs that have ended, whose records are all accepted. */
  readonly runs: AcceptedRun[] = [];
  /** What has gone wrong: lost, doubled or refused. */
  readonly faults: string[] = [];
  readonly counts = { requests: 0, repeats: 0, sockets: 0, brokenSockets: 0, reads: 0, jobs: 0, restoredEvents: 0 };

  fault(text: string): void {
    this.faults.push(text);
  }
}

export function emptyRun(id: string): AcceptedRun {
  return { id, messages: [], events: [], taskRuns: new Map() };
}

/** Compares what is read with what was accepted. Returns what is lost and what is there twice or more, or was never sent. */
export function difference(
  found: readonly string[],
  accepted: readonly string[],
): { lost: string[]; doubled: string[] } {
  const counts = new Map<string, number>();
  for (const one of found) counts.set(one, (counts.get(one) ?? 0) + 1);
  const sent = new Set(accepted);
  return {
    lost: accepted.filter((one) => !counts.has(one)),
    doubled: [...counts].flatMap(([one, count]) => (count > 1 || !sent.has(one) ? [one] : [])),
  };
}

/** The difference in words; null if there is none. */
export function inWords(what: string, { lost, doubled }: ReturnType<typeof difference>): string | null {
  if (lost.length + doubled.length === 0) return null;
  return `${what}: ${lost.length} lost (${lost.slice(0, 3).join(", ")}), ${doubled.length} doubled (${doubled.slice(0, 3).join(", ")})`;
}
