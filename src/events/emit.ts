/** Sends events and logs to the workspace's `EventStream` object. */
import { type Event, type ReceivedEvent, receiveEvent } from "#events/event";
import { ApiError, unavailable } from "#lib/api-error";
import { spend } from "#lib/cost";
import { log } from "#lib/log";
import type { Tools } from "#tools";
import type { Log } from "#wire/log";

/** A call of the object. A call is sent as the body of a request, because events are large. */
export interface StreamCall {
  v: 1;
  workspace: string;
  events: ReceivedEvent[];
  logs: Log[];
  /** Whether the object tries again to write events that it set aside before. */
  again?: boolean;
}

/** The object's answer when it refuses a call. */
export interface StreamRefusal {
  error: string;
  /** The ids of events that cannot be written and are stored as dead letters. All other events of the call are written. */
  set_aside?: string[];
}

/** Some events cannot be written and are stored as dead letters (503). The other events of the call are written. */
export class EventsSetAside extends ApiError {
  readonly ids: readonly string[];

  constructor(ids: readonly string[]) {
    const shown = ids.slice(0, 3).join(", ");
    super(503, {
      exception_message: `${ids.length} of the events could not be written and are kept as dead letters: ${shown}${ids.length > 3 ? ", …" : ""}`,
    });
    this.ids = ids;
  }
}

/** The object takes no call now (503): it cannot reach its database, or too many events wait. */
export class StreamBusy extends ApiError {
  constructor() {
    super(503, { exception_message: UNWRITTEN }, { "Retry-After": "1" });
  }
}

const UNWRITTEN = "The events could not be written.";

/** The address at which the object takes calls. */
const STREAM_URL = "https://event-stream/take";
/** The address for calls with only logs. Logs have no numbers from users, so the object parses such calls faster. */
export const LOGS_URL = "https://event-stream/take-logs";
/** The address for requests to write the gathered reports. */
export const SETTLE_URL = "https://event-stream/settle";

/** The runs. The object has to write their reports. */
export interface SettleCall {
  v: 1;
  flow_run_ids: readonly string[];
  task_run_ids: readonly string[];
}

/** The ids of the runs that a read names. */
export interface AskedRuns {
  flowRunIds?: readonly string[];
  taskRunIds?: readonly string[];
}

const TRIES = 3;
/** How long a call waits for events and logs of other requests. The object gathers for a longer time. */
const COMPANY_MS = 20;

/** A call that is older than this is never sent, because the runtime has ended the request that should send it. */
const STALE_MS = 500;

/**
 * Calls of this isolate that are not sent yet, by workspace. Requests share only the content of a call, never a promise: if a request waits
 * for the promise of an ended request, the runtime ends the waiting request, too. If the isolate loses calls, the sweep sends their events.
 */
const waiting = new Map<string, { call: StreamCall; at: number }>();

/**
 * Sends events after the reply (`tools.background`), together with the events of concurrent requests. May be repeated,
 * because an event is recognised by its id. If it fails, the outbox's sweep sends the events of flow runs' states.
 */
export async function emitEvents(tools: Tools, events: readonly Event[]): Promise<void> {
  if (events.length > 0) await gather(tools, received(tools, events), []);
}

/** Sends stored logs to the listeners, in the same way as `emitEvents`. */
export async function publishLogs(tools: Tools, logs: readonly Log[]): Promise<void> {
  if (logs.length > 0) await gather(tools, [], logs);
}

/**
 * Writes events, and resolves when they are written. Throws 503 if they could not be written, and `EventsSetAside`
 * (also a 503) if only some of them can never be written.
 */
export async function writeEvents(tools: Tools, events: readonly Event[]): Promise<void> {
  if (events.length === 0) return;
  await callStream(tools, callOf(tools, { events: received(tools, events) }));
}

/** Writes an event that was set aside. Throws like `writeEvents`. */
export async function writeAgain(tools: Tools, event: ReceivedEvent): Promise<void> {
  await callStream(tools, callOf(tools, { events: [event], again: true }));
}

/** Whether the workspace's object takes calls. */
export async function isStreamUp(tools: Tools): Promise<boolean> {
  return (await attempt(tools, STREAM_URL, JSON.stringify(callOf(tools, {})))) === null;
}

/**
 * Asks the object to write the gathered reports of some runs. Returns whether the object may have written any. If the
 * object does not answer, it still writes these reports a little later.
 */
export async function settleReports(tools: Tools, { flowRunIds = [], taskRunIds = [] }: AskedRuns): Promise<boolean> {
  const call: SettleCall = { v: 1, flow_run_ids: flowRunIds, task_run_ids: taskRunIds };
  spend(tools.cost, { object_calls: 1 });
  try {
    return (await (await post(tools, SETTLE_URL, JSON.stringify(call))).text()) !== "nothing";
  } catch (error) {
    log(tools, "warn", "the event stream could not be asked for reports", { error });
    return true;
  }
}

function callOf({ workspaceId }: Tools, content: Partial<StreamCall>): StreamCall {
  return { v: 1, workspace: workspaceId, events: [], logs: [], ...content };
}

function received(tools: Tools, events: readonly Event[]): ReceivedEvent[] {
  const now = tools.clock();
  return events.map((event) => receiveEvent(event, now));
}

/** Adds events and logs to the next call, or makes the next call and sends it. */
async function gather(tools: Tools, events: readonly ReceivedEvent[], logs: readonly Log[]): Promise<void> {
  const { workspaceId } = tools;
  const present = waiting.get(workspaceId);
  if (present && Date.now() - present.at < STALE_MS) {
    present.call.events.push(...events);
    present.call.logs.push(...logs);
    return;
  }
  const call = callOf(tools, { events: [...events], logs: [...logs] });
  waiting.set(workspaceId, { call, at: Date.now() });
  await new Promise((resolve) => setTimeout(resolve, COMPANY_MS));
  if (waiting.get(workspaceId)?.call === call) waiting.delete(workspaceId);
  await callStream(tools, call);
}

/** Returns the object of a workspace. */
export function eventStream(namespace: DurableObjectNamespace, workspaceId: string): DurableObjectStub {
  return namespace.get(namespace.idFromName(workspaceId));
}

async function callStream(tools: Tools, call: StreamCall): Promise<void> {
  const body = JSON.stringify(call);
  for (let tries = 1; ; tries++) {
    spend(tools.cost, { object_calls: 1 });
    const failure = await attempt(tools, call.events.length === 0 ? LOGS_URL : STREAM_URL, body);
    if (failure === null) return;
    if (failure instanceof EventsSetAside) throw failure;
    if (tries < TRIES) continue;
    log(tools, "error", "the event stream did not take a call", { error: failure });
    throw failure instanceof StreamBusy ? failure : unavailable(UNWRITTEN, 1);
  }
}

function post(tools: Tools, url: string, body: string): Promise<Response> {
  return eventStream(tools.env.EVENT_STREAM, tools.workspaceId).fetch(url, { method: "POST", body });
}

/** Calls the object once. Returns the error, or null. */
async function attempt(tools: Tools, url: string, body: string): Promise<unknown> {
  try {
    const response = await post(tools, url, body);
    const text = await response.text();
    if (response.ok) return null;
    // The object wrote this text.
    const { error, set_aside } = JSON.parse(text) as StreamRefusal;
    if (set_aside) return new EventsSetAside(set_aside);
    log(tools, "error", "the event stream is busy", { error });
    return new StreamBusy();
  } catch (error) {
    // An object that restarts answers the next try.
    return error;
  }
}
