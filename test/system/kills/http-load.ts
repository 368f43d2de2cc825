/** The load over HTTP: runs with their states, logs and events. */
import { setTimeout as sleep } from "node:timers/promises";
import { z } from "zod";
import { uuid4, wireTime } from "../../../bench/ids.ts";
import { type AcceptedRun, emptyRun, type Ledger, thingOf } from "./ledger.ts";
import type { PatientClient } from "./patient-client.ts";

const WithId = z.object({ id: z.string() });
const Run = z.object({ state_type: z.string() });
const BATCHES = 3;
const MOST_LINES = 12;
/** The pause of a client between two runs. */
const PAUSE_MS = 200;

/** Creates a flow, or gives the flow with this name. */
export async function createFlow(client: PatientClient, name: string): Promise<string> {
  return WithId.parse(await client.ask("/flows/", { name })).id;
}

/** Writes runs, one after the other, until `isOver`. */
export async function writeRuns(
  client: PatientClient,
  ledger: Ledger,
  flowId: string,
  isOver: () => boolean,
): Promise<void> {
  while (!isOver()) {
    const run = await beginRun(client, flowId);
    for (let batch = 0; batch < BATCHES; batch++) {
      await writeLogs(client, run);
      await writeEvents(client, run);
    }
    await reach(client, run.id, "COMPLETED");
    // Late logs, which may move at any time.
    await writeLogs(client, run);
    ledger.runs.push(run);
    await sleep(PAUSE_MS);
  }
}

/** Creates a run. The idempotency key makes the request repeatable. */
export async function beginRun(client: PatientClient, flowId: string): Promise<AcceptedRun> {
  const body = { flow_id: flowId, idempotency_key: uuid4(), state: { type: "PENDING" } };
  const run = emptyRun(WithId.parse(await client.ask("/flow_runs/", body)).id);
  await reach(client, run.id, "RUNNING");
  return run;
}

/** Changes the state of a run once. An unanswered request may have changed the state, so the run is read before a repeat. */
export async function reach(client: PatientClient, id: string, type: string): Promise<void> {
  while ((await client.once(`/flow_runs/${id}/set_state`, { state: { type } })) === undefined) {
    if (Run.parse(await client.ask(`/flow_runs/${id}`)).state_type === type) return;
  }
}

/**
 * A batch of logs. A repeated batch finds its own row. If the run has ended, the row may have moved to the archive before
 * the repeat. Then both are stored, and a reader shows one of them.
 */
async function writeLogs(client: PatientClient, run: AcceptedRun): Promise<void> {
  const lines = Array.from({ length: 1 + Math.floor(Math.random() * MOST_LINES) }, () => logOf(run.id));
  await client.ask("/logs/", lines);
  run.messages.push(...lines.map(({ message }) => message));
}

const logOf = (runId: string) => ({
  name: "kills",
  level: 20,
  message: `a line of the load 世界 ${uuid4()}`,
  timestamp: wireTime(),
  flow_run_id: runId,
});

async function writeEvents(client: PatientClient, run: AcceptedRun): Promise<void> {
  const events = [thingEvent(run.id), thingEvent(run.id)];
  await client.ask("/events", events);
  run.events.push(...events.map(({ id }) => id));
}

/** An event about a run's thing. */
export function thingEvent(runId: string) {
  return {
    occurred: wireTime(),
    event: "kills.happened",
    resource: { "prefect.resource.id": thingOf(runId), "prefect.resource.name": "a thing" },
    related: [{ "prefect.resource.id": `prefect.flow-run.${runId}`, "prefect.resource.role": "flow-run" }],
    payload: { text: "about as much as an event of a run carries ".repeat(4) },
    id: uuid4(),
    follows: null,
  };
}
