/**
 * Dead letters: an item that failed permanently is stored with its reason, so that the work on other items continues
 * and no accepted item is lost.
 */
import { sql } from "drizzle-orm";
import { WorkspaceMoves } from "#databases";
import { isPassing, type Statement } from "#db/database";
import { dead_letter } from "#db/tables/event";
import type { Tools } from "#tools";
import { byteLength } from "#lib/bytes";
import { log } from "#lib/log";

/** An item that failed because of its own content. */
interface DeadItem {
  /** The short name of the work that failed, for example "task-runs". A replay finds the work by this name. */
  queue: string;
  /** The item's key. An item that fails again has the same key, so it is stored once. */
  key: string;
  /** The reason of the failure, as text. */
  reason: string;
  /** The JSON value that a replay needs. */
  message: unknown;
}

/** D1 takes values of 2 MB; in UTF-8 a character of JavaScript has up to three bytes. */
const MAX_MESSAGE_BYTES = 1_900_000;
const MAX_CUT_CHARACTERS = 500_000;
const MAX_REASON_CHARACTERS = 2_000;

type Keeper = Pick<Tools, "db" | "workspaceId" | "clock" | "ids">;

/** Stores an item that failed permanently. An item with the same queue and key gets the new reason and message. */
export async function keepDeadLetter(tools: Keeper, item: DeadItem): Promise<void> {
  await tools.db.run(insertDeadLetter(tools, item));
}

/** Returns the statement that stores an item, for a batch with other statements. Logs the item. */
export function insertDeadLetter(tools: Keeper, { queue, key, reason, message }: DeadItem): Statement {
  const fields = { queue, key, reason: reason.slice(0, 200) };
  log(tools, "error", "an item failed for good and is kept as a dead letter", fields);
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

/** The messages of D1's own failures, by Cloudflare's list of errors: docs/d1/observability/debug-d1. */
const OUTAGE =
  /overloaded|transient issue|exceeded timeout|storage caused object to be reset|Internal error|maximum DB size|SQLITE_FULL|SQLITE_BUSY/i;

/** Whether the database caused a failure, and not the item: the database cannot be reached, or takes no statement at all. */
export function isOutage(error: unknown): boolean {
  if (isPassing(error) || error instanceof WorkspaceMoves) return true;
  return error instanceof Error && OUTAGE.test(error.message);
}

/** Returns an error's message, for the reason of a dead letter. */
export function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** The message as JSON. If a message cannot be printed or is too large for a row, only a part is stored. */
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
