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
export type StreamCall =
  | { v: 1; workspace: string; events: ReceivedEvent[] }
  | { v: 1; workspace: string; logs: readonly PublishedLog[] };

/** Where the object takes calls. */
export const STREAM_URL = "https://event-stream/take";
const TRIES = 3;

/**
 * Sends events, after the commit of what they tell; resolves when they are written. May be repeated: an event is known by
 * its id. Where it fails, the outbox's sweep makes up for events of flow runs' states.
 */
export async function emitEvents(tools: Tools, events: readonly Event[]): Promise<void> {
  if (events.length === 0) return;
  const now = tools.clock();
  await callStream(tools, {
    v: 1,
    workspace: tools.workspaceId,
    events: events.map((event) => receiveEvent(event, now)),
  });
}

/** Shows logs to those who listen, after they were stored. */
export async function publishLogs(tools: Tools, logs: readonly PublishedLog[]): Promise<void> {
  if (logs.length > 0) await callStream(tools, { v: 1, workspace: tools.workspaceId, logs });
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
