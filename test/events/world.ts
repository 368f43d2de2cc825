/** Builders for events, and sockets to the Worker. */
import { SELF } from "cloudflare:test";
import type { Event } from "#events/event";
import { systemClock, systemIds } from "#lib/clock";
import { printTime } from "#wire/dates";

const clock = systemClock();
const ids = systemIds();

/** A time-ordered id. */
export const anId = (): string => ids.ordered(clock());

/** The id of a resource that no other test uses. */
export const aResource = (): string => `test.thing.${crypto.randomUUID()}`;

/** An event as a client sends it. */
export function anEvent(fields: Partial<Event> & { about?: string } = {}): Event {
  const { about, ...rest } = fields;
  return {
    occurred: printTime(clock()),
    event: "test.happened",
    resource: { "prefect.resource.id": about ?? aResource() },
    related: [],
    payload: {},
    id: anId(),
    follows: null,
    ...rest,
  };
}

/** The stock client's reports of a task run: one event for each state, in order. */
export function taskRunReports(
  states: readonly { type: string; name?: string; at: number }[],
  run: { id?: string; flowRunId?: string | null; dynamicKey?: string } = {},
): Event[] {
  const id = run.id ?? crypto.randomUUID();
  const flowRunId = run.flowRunId === undefined ? crypto.randomUUID() : run.flowRunId;
  const dynamicKey = run.dynamicKey ?? id;
  let start: string | null = null;
  let end: string | null = null;
  let runs = 0;
  return states.map(({ type, name, at }, index) => {
    if (type === "RUNNING") {
      start ??= printTime(at);
      runs++;
    }
    if (["COMPLETED", "FAILED", "CRASHED"].includes(type)) end = printTime(at);
    const shown = name ?? type.charAt(0) + type.slice(1).toLowerCase();
    return anEvent({
      occurred: printTime(at),
      event: `prefect.task-run.${shown}`,
      about: `prefect.task-run.${id}`,
      resource: {
        "prefect.resource.id": `prefect.task-run.${id}`,
        "prefect.resource.name": "add",
        "prefect.orchestration": "client",
      },
      related: flowRunId
        ? [{ "prefect.resource.id": `prefect.flow-run.${flowRunId}`, "prefect.resource.role": "flow-run" }]
        : [],
      payload: {
        intended: { from: states[index - 1]?.type ?? null, to: type },
        initial_state: null,
        validated_state: { type, name: shown, message: "", state_details: {}, data: null },
        task_run: {
          name: "add",
          task_key: "add-1",
          dynamic_key: dynamicKey,
          tags: ["t"],
          labels: {},
          task_inputs: { x: [] },
          empirical_policy: { retries: 0 },
          run_count: runs,
          flow_run_run_count: 1,
          total_run_time: end ? 1.5 : 0,
          expected_start_time: printTime(states[0]?.at ?? at),
          ...(start && { start_time: start }),
          ...(end && { end_time: end }),
        },
      },
    });
  });
}

/** A socket to the Worker, with its received messages. */
export class Socket {
  readonly messages: Record<string, unknown>[] = [];
  readonly closed: Promise<{ code: number; reason: string }>;
  private readonly socket: WebSocket;
  private wake: () => void = () => {};

  constructor(socket: WebSocket) {
    this.socket = socket;
    socket.accept();
    socket.addEventListener("message", (message) => {
      this.messages.push(JSON.parse(String(message.data)));
      this.wake();
    });
    this.closed = new Promise((resolve) => {
      socket.addEventListener("close", ({ code, reason }) => resolve({ code, reason }));
    });
  }

  send(message: unknown): void {
    this.socket.send(JSON.stringify(message));
  }

  /** Sends text or bytes unchanged. */
  sendRaw(data: string | Uint8Array): void {
    this.socket.send(data);
  }

  /** Sends a message unless the socket is closed. */
  trySend(message: unknown): void {
    if (this.socket.readyState === WebSocket.READY_STATE_OPEN) this.send(message);
  }

  /** Waits until so many messages have arrived, and gives the last message. */
  async until(count: number): Promise<Record<string, unknown>> {
    while (this.messages.length < count) {
      await new Promise<void>((resolve) => {
        this.wake = resolve;
      });
    }
    return this.messages[count - 1] ?? {};
  }

  close(): void {
    this.socket.close(1000, "done");
  }
}

/** Opens a socket; with the subprotocol, unless `legacy`. */
export async function connect(path: string, { legacy = false } = {}): Promise<Socket> {
  const response = await SELF.fetch(`http://sluice/api${path}`, {
    headers: { upgrade: "websocket", ...(!legacy && { "sec-websocket-protocol": "prefect" }) },
  });
  if (!response.webSocket) throw new Error(`no socket: ${response.status} ${await response.text()}`);
  return new Socket(response.webSocket);
}

/** Opens a socket and authenticates. */
export async function connectAuthenticated(path: string): Promise<Socket> {
  const socket = await connect(path);
  socket.send({ type: "auth", token: null });
  await socket.until(1);
  return socket;
}
