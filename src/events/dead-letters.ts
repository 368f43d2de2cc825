/** Dead letters: items that failed for good are kept with their reason, so that no accepted item is lost and the other items go on. */
import { sql } from "drizzle-orm";
import { isPassing, type Statement } from "#db/database";
import { dead_letter } from "#db/tables/event";
import type { Tools } from "#tools";
import { byteLength } from "#lib/bytes";

/** An item that failed by itself. */
export interface DeadItem {
  /** The short name of the work that failed, as "task-runs". A replay does the work of this name. */
  queue: string;
  /** A stable text, so that an item that fails again is kept once. */
  key: string;
  /** Why it failed, in words. */
  reason: string;
  /** What a replay needs, as a JSON value. */
  message: unknown;
}

/** D1 takes values of 2 MB; in UTF-8 a character of JavaScript has up to three bytes. */
const MAX_MESSAGE_BYTES = 1_900_000;
const MAX_CUT_CHARACTERS = 500_000;
const MAX_REASON_CHARACTERS = 2_000;

type Keeper = Pick<Tools, "db" | "workspaceId" | "clock" | "ids">;

/** Keeps an item that failed for good. A letter that is there already under the queue and key gets the new reason and message. */
export async function keepDeadLetter(tools: Keeper, item: DeadItem): Promise<void> {
  await tools.db.run(insertDeadLetter(tools, item));
}

/** The statement that keeps an item, for a batch with other statements. Making it logs the item. */
export function insertDeadLetter(tools: Keeper, { queue, key, reason, message }: DeadItem): Statement {
  console.error(`an item of ${queue} failed for good and is kept as a dead letter (${key}): ${reason.slice(0, 200)}`);
  const now = tools.clock();
  const letter = {
    id: tools.ids.ordered(now),
    created: now,
    queue,
    message: printMessage(message),
    workspace_id: tools.workspaceId,
    key,
    reason: reason.slice(0, MAX_REASON_CHARACTERS),
  };
  return tools.db.build
    .insert(dead_letter)
    .values(letter)
    .onConflictDoUpdate({
      target: [dead_letter.workspace_id, dead_letter.queue, dead_letter.key],
      set: { reason: sql`excluded.reason`, message: sql`excluded.message` },
    });
}

/** Messages of D1 that say nothing of a statement; Cloudflare's list: docs/d1/observability/debug-d1. */
const OUTAGE =
  /overloaded|transient issue|exceeded timeout|storage caused object to be reset|Internal error|maximum DB size|SQLITE_FULL|SQLITE_BUSY/i;

/** Whether a failure says nothing of the item that was at work: the database could not be reached, or takes nothing at all. */
export function isOutage(error: unknown): boolean {
  return isPassing(error) || (error instanceof Error && OUTAGE.test(error.message));
}

/** What an error says, for a letter's reason. */
export function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** The message as JSON. Of a message that is too large for a row the beginning is kept; of one that cannot be printed, the error. */
function printMessage(message: unknown): string {
  const json = stringify(message);
  if (byteLength(json) <= MAX_MESSAGE_BYTES) return json;
  return JSON.stringify({ cut: json.slice(0, MAX_CUT_CHARACTERS), characters: json.length });
}

function stringify(message: unknown): string {
  try {
    return JSON.stringify(message) ?? "null";
  } catch (error) {
    return JSON.stringify({ unprintable: reasonOf(error) });
  }
}
