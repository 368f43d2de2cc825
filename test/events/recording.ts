/** Writes segments that wait for the consumer of the queue, and calls the consumer. */
import { createExecutionContext, createMessageBatch, env, getQueueResult } from "cloudflare:test";
import { segmentMessages } from "#events/consumer";
import { type Event, receiveEvent } from "#events/event";
import { buildSegments, keyOf, type SizedKey, writeSegments } from "#events/segments";
import { readStates } from "#db/short/states";
import { DEFAULT_WORKSPACE } from "#env";
import { makeTools } from "#tools";
import { parseTime } from "#wire/dates";
import worker from "#worker";
import { taskRowsOf } from "../support/task-rows";

const tools = () => makeTools(env, DEFAULT_WORKSPACE, () => {});

/** Writes events as one segment that waits for the consumer. */
export async function aSegment(events: readonly Event[]): Promise<SizedKey[]> {
  const { clock, ids, db } = tools();
  const now = clock();
  const gathered = events.map((sent) => {
    const event = receiveEvent(sent, now);
    return { event, occurred: parseTime(event.occurred) ?? 0, json: JSON.stringify(event) };
  });
  const segments = buildSegments(gathered, now, ids);
  await writeSegments(db, DEFAULT_WORKSPACE, segments, () => true);
  return segments.map(keyOf);
}

/** Delivers segments to the Worker, as the queue does. */
export async function deliver(keys: readonly SizedKey[], attempts = 1) {
  const messages = segmentMessages(DEFAULT_WORKSPACE, keys).map((body, index) => ({
    id: String(index),
    timestamp: new Date(0),
    attempts,
    body,
  }));
  const batch = createMessageBatch("sluice-events", messages);
  const context = createExecutionContext();
  await worker.queue(batch, env, context);
  return getQueueResult(batch, context);
}

/** The task run rows of a flow run, without the time of the write and the hash of its keys. Its states are read. */
export async function taskRunsOf(flowRunId: string) {
  const rows = await taskRowsOf(flowRunId);
  return rows.map((row) => ({ ...row, created: 0, updated: 0, key_hash: 0, states: readStates(row) }));
}
