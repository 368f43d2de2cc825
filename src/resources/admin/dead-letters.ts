/** Lists, reads and drops dead letters. */
import { type SQL, sql } from "drizzle-orm";
import * as z from "zod";
import { WorkspaceStore } from "#db/workspace-store";
import { dead_letter } from "#db/tables/event";
import { list } from "#db/sql";
import { parseJson, STORED_JSON_DEPTH } from "#lib/json";
import { printTime, TimeText } from "#wire/dates";

/** A dead letter without its message, which may be large. */
export const DeadLetter = z
  .object({
    id: z.string(),
    created: TimeText,
    /** The name of a queue, or the short name of the work that failed. */
    queue: z.string(),
    key: z.string().nullable(),
    /** The reason of the last failure. */
    reason: z.string().nullable(),
    message_characters: z.int(),
  })
  .meta({ id: "DeadLetter" });
export type DeadLetter = z.output<typeof DeadLetter>;

/** A dead letter with its message, or with the message's text where that is no JSON. */
export const DeadLetterWithMessage = DeadLetter.extend({ message: z.unknown() }).meta({ id: "DeadLetterWithMessage" });
export type DeadLetterWithMessage = z.output<typeof DeadLetterWithMessage>;

/** Which letters a request is about. */
interface LettersWanted {
  ids?: readonly string[] | null | undefined;
  queue?: string | null | undefined;
}

/** How many letters one statement drops, and how many statements one request makes. */
const DROPPED_AT_ONCE = 500;
const MAX_DROPS = 20;

type Row = Pick<typeof dead_letter.$inferSelect, "id" | "created" | "queue" | "key" | "reason"> & {
  message_characters: number;
};

const COLUMNS = sql.raw("l.id, l.created, l.queue, l.key, l.reason, length(l.message) as message_characters");

/** The dead letters of one workspace. */
export class DeadLetterStore extends WorkspaceStore {
  /** Reads a page of letters, the newest or the oldest first. */
  async page(wanted: LettersWanted, order: "newest" | "oldest", limit: number, offset: number): Promise<DeadLetter[]> {
    const direction = order === "newest" ? sql`desc` : sql`asc`;
    const rows = await this.db.rows<Row>(sql`select ${COLUMNS} from ${dead_letter} l where ${this.among(wanted)}
      order by l.created ${direction}, l.id ${direction} limit ${limit} offset ${offset}`);
    return rows.map(print);
  }

  /** Reads one letter, or undefined. */
  async read(id: string): Promise<DeadLetterWithMessage | undefined> {
    const [row] = await this.db.rows<Row & { message: string }>(
      sql`select ${COLUMNS}, l.message from ${dead_letter} l where ${this.among({ ids: [id] })}`,
    );
    return row && { ...print(row), message: readMessage(row.message) };
  }

  /** Writes the reason why a letter's replay failed. */
  async noteReason(id: string, reason: string): Promise<void> {
    await this.db.run(
      sql`update ${dead_letter} set reason = ${reason} where workspace_id = ${this.workspaceId} and id = ${id}`,
    );
  }

  /** Drops letters, the oldest first, at most a bounded number. Gives how many. */
  async drop(wanted: LettersWanted): Promise<number> {
    let dropped = 0;
    for (let drops = 0; drops < MAX_DROPS; drops++) {
      const { changes } = await this.db.run(sql`delete from ${dead_letter} where id in (
        select l.id from ${dead_letter} l where ${this.among(wanted)} order by l.created, l.id limit ${DROPPED_AT_ONCE})`);
      dropped += changes;
      if (changes < DROPPED_AT_ONCE) break;
    }
    return dropped;
  }

  private among({ ids, queue }: LettersWanted): SQL {
    const conditions = [sql`l.workspace_id = ${this.workspaceId}`];
    if (ids) conditions.push(sql`l.id in ${list(ids)}`);
    if (queue) conditions.push(sql`l.queue = ${queue}`);
    return sql.join(conditions, sql` and `);
  }
}

const print = (row: Row): DeadLetter => ({ ...row, created: printTime(row.created) });

/** A message that cannot be parsed is shown as its text. */
function readMessage(text: string): unknown {
  try {
    return parseJson(text, STORED_JSON_DEPTH);
  } catch {
    return text;
  }
}
