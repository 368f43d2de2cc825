/** Hands events and logs to the workspace's `EventStream`. */
import { type Event, type ReceivedEvent, receiveEvent } from "#events/event";
import { unavailable } from "#lib/api-error";
import { spend } from "#lib/cost";
import type { Tools } from "#tools";

/** A log as it is shown on the wire. */
export interface PublishedLog {
  id: string;
  created: string;
  updated: string;
  name: string;
  level: number;
  message: string;
  timestamp: string;
  flow_run_id: string | null;
  task_run_id: string | null;
}

/** What travels to the object, in a body, for events are large. */
export interface StreamCall {
  v: 1;
  workspace: string;
  events: ReceivedEvent[];
  logs: PublishedLog[];
}

/** Where the object takes calls. */
export const STREAM_URL = "https://event-stream/take";
const TRIES = 3;
/** How long what is sent after a reply waits for company; the object gathers for longer still. */
const COMPANY_MS = 20;

/** A call older than this never leaves: the request whose time it was to send it in was ended. */
const STALE_MS = 500;

/** A call that gathers what is to travel, and the promise that it has arrived. */
interface Outgoing {
  call: StreamCall;
  sent: Promise<void>;
  at: number;
}

/** Calls of this isolate that have not left yet, by workspace; lost with the isolate, and made up for by the sweep. */
const waiting = new Map<string, Outgoing>();

/**
 * Sends events, after the commit of what they tell; resolves when they are written. May be repeated: an event is known by
 * its id. Where it fails, the outbox's sweep makes up for events of flow runs' states.
 */
export async function emitEvents(tools: Tools, events: readonly Event[]): Promise<void> {
  if (events.length === 0) return;
  const { call, sent } = nextCall(tools);
  const now = tools.clock();
  for (const event of events) call.events.push(receiveEvent(event, now));
  await sent;
}

/** Shows logs to those who listen, after they were stored. */
export async function publishLogs(tools: Tools, logs: readonly PublishedLog[]): Promise<void> {
  if (logs.length === 0) return;
  const { call, sent } = nextCall(tools);
  call.logs.push(...logs);
  await sent;
}

/** Writes events that a client waits for, at once. Throws 503 where they could not be written. */
export async function writeEvents(tools: Tools, events: readonly Event[]): Promise<void> {
  if (events.length === 0) return;
  const now = tools.clock();
  const received = events.map((event) => receiveEvent(event, now));
  await callStream(tools, { v: 1, workspace: tools.workspaceId, events: received, logs: [] });
}

/** The call that leaves next for the workspace; who makes it new sees to it that it leaves. */
function nextCall(tools: Tools): Outgoing {
  const { workspaceId } = tools;
  const present = waiting.get(workspaceId);
  if (present && Date.now() - present.at < STALE_MS) return present;
  const call: StreamCall = { v: 1, workspace: workspaceId, events: [], logs: [] };
  const leave = async () => {
    await new Promise((resolve) => setTimeout(resolve, COMPANY_MS));
    if (waiting.get(workspaceId)?.call === call) waiting.delete(workspaceId);
    await callStream(tools, call);
  };
  const next = { call, sent: leave(), at: Date.now() };
  waiting.set(workspaceId, next);
  return next;
}

/** The object of a workspace. */
export function eventStream(namespace: DurableObjectNamespace, workspaceId: string): DurableObjectStub {
  return namespace.get(namespace.idFromName(workspaceId));
}

async function callStream(tools: Tools, call: StreamCall): Promise<void> {
  const body = JSON.stringify(call);
  for (let tries = 1; ; tries++) {
    spend(tools.cost, { object_calls: 1 });
    const failure = await attempt(tools, body);
    if (failure === null) return;
    if (tries < TRIES) continue;
    console.error("the event stream did not take a call", failure);
    throw unavailable("The events could not be written.", 1);
  }
}

async function attempt(tools: Tools, body: string): Promise<unknown> {
  try {
    const response = await eventStream(tools.env.EVENT_STREAM, tools.workspaceId).fetch(STREAM_URL, {
      method: "POST",
      body,
    });
    const text = await response.text();
    return response.ok ? null : text;
  } catch (error) {
    // An object that restarts answers the next try.
    return error;
  }
}
