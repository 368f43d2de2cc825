/** The load over WebSockets: reports of task runs and other events on `/events/in`. */
import { setTimeout as sleep } from "node:timers/promises";
import { uuid4, uuid7, wireTime } from "../../../bench/ids.ts";
import { beginRun, reach, thingEvent } from "./http-load.ts";
import type { AcceptedRun, Ledger } from "./ledger.ts";
import type { PatientClient } from "./patient-client.ts";

/**
 * How many messages a socket sends: the server writes all waiting events before it reads on after so many, so its answer
 * to the close of the socket confirms them (`WRITTEN_EVERY` of the event stream).
 */
const MESSAGES = 350;
const TASK_RUNS = 30;
const TYPES = ["PENDING", "RUNNING", "COMPLETED"] as const;
/** The sender pauses after so many messages, so that a kill comes in the middle of them. */
const BURST = 25;
const BURST_MS = 120;
const ANSWER_MS = 30_000;
const NORMAL_CLOSURE = 1000;
/** The pause of a client between two runs. */
const PAUSE_MS = 1_500;
/** The pause before a socket is opened again. */
const WAIT_MS = 250;

/** Reports runs, one after the other, until `isOver`. */
export async function reportRuns(
  client: PatientClient,
  { ledger, url, flowId }: { ledger: Ledger; url: string; flowId: string },
  isOver: () => boolean,
): Promise<void> {
  while (!isOver()) {
    const run = await beginRun(client, flowId);
    const messages = messagesOf(run);
    for (let end: SocketEnd | undefined; end !== "confirmed";) {
      end = await sendAll(`${url.replace(/^http/, "ws")}/events/in`, messages);
      if (end !== "not open") ledger.counts.sockets++;
      if (end === "broken") ledger.counts.brokenSockets++;
      if (end !== "confirmed") await sleep(WAIT_MS);
    }
    await reach(client, run.id, "COMPLETED");
    ledger.runs.push(run);
    if (!isOver()) await sleep(PAUSE_MS);
  }
}

/** The messages of a run, which are noted in the run. */
function messagesOf(run: AcceptedRun): string[] {
  const tasks = Array.from({ length: TASK_RUNS }, (_, index) => ({ id: uuid7(), key: `${index}` }));
  const reports = TYPES.flatMap((type) => tasks.map((task) => ({ task, event: reportOf(run.id, task, type) })));
  for (const { task, event } of reports) run.taskRuns.set(task.id, [...(run.taskRuns.get(task.id) ?? []), event.id]);
  const others = Array.from({ length: MESSAGES - reports.length }, () => thingEvent(run.id));
  run.events.push(...others.map(({ id }) => id));
  return [...reports.map(({ event }) => event), ...others].map((event) => JSON.stringify(event));
}

function reportOf(flowRunId: string, task: { id: string; key: string }, type: (typeof TYPES)[number]) {
  const name = type.charAt(0) + type.slice(1).toLowerCase();
  const place = TYPES.indexOf(type);
  return {
    // The three states have different times, in their order.
    occurred: wireTime(Date.now() + place),
    event: `prefect.task-run.${name}`,
    resource: {
      "prefect.resource.id": `prefect.task-run.${task.id}`,
      "prefect.resource.name": `task-${task.key}`,
      "prefect.orchestration": "client",
    },
    related: [{ "prefect.resource.id": `prefect.flow-run.${flowRunId}`, "prefect.resource.role": "flow-run" }],
    payload: {
      validated_state: { type, name, message: "", data: null, state_details: { cache_key: uuid4() } },
      task_run: { name: `task-${task.key}`, task_key: "kills", dynamic_key: task.key, run_count: place === 0 ? 0 : 1 },
    },
    id: uuid7(),
    follows: null,
  };
}

/** How a socket ended. After "confirmed" the server has written all messages. */
type SocketEnd = "confirmed" | "broken" | "not open";

/** Sends messages on a socket of its own. */
async function sendAll(url: string, messages: readonly string[]): Promise<SocketEnd> {
  const socket = new WebSocket(url, "prefect");
  const closed = new Promise<boolean>((resolve) => {
    socket.addEventListener("close", ({ code, wasClean }) => resolve(wasClean && code === NORMAL_CLOSURE));
  });
  const welcomed = new Promise<boolean>((resolve) => {
    socket.addEventListener("open", () => socket.send(JSON.stringify({ type: "auth", token: null })));
    socket.addEventListener("message", ({ data }) => resolve(String(data).includes("auth_success")));
  });
  // The event of an error has no more than the close that follows it.
  socket.addEventListener("error", () => {});
  const isIn = await Promise.race([welcomed, closed.then(() => false), sleep(ANSWER_MS, false)]);
  if (!isIn) {
    socket.close();
    return "not open";
  }
  for (const [index, message] of messages.entries()) {
    if (socket.readyState !== WebSocket.OPEN) return "broken";
    socket.send(message);
    if (index % BURST === BURST - 1) await sleep(BURST_MS);
  }
  if (socket.readyState !== WebSocket.OPEN) return "broken";
  socket.close(NORMAL_CLOSURE);
  return (await Promise.race([closed, sleep(ANSWER_MS, false)])) ? "confirmed" : "broken";
}
