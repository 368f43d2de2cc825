/** Lists, reads, replays and drops dead letters. A replay repeats the failed work of a letter. */
import { namedObject } from "#wire/named";
import * as z from "zod";
import { type SQL, sql } from "drizzle-orm";
import { WorkspaceStore } from "#db/workspace-store";
import { dead_letter } from "#db/tables/event";
import { list } from "#db/sql";
import { reasonOf } from "#events/dead-letters";
import { isDeadQueue, sendBack } from "#events/consumer";
import { writeAgain } from "#events/emit";
import type { ReceivedEvent } from "#events/event";
import { sendEventOf } from "#events/outbox";
import { recordLetter } from "#events/record-segments";
import { parseJson, STORED_JSON_DEPTH } from "#lib/json";
import { deleteFlowRuns } from "#resources/flow-runs/delete-flow-run";
import { requeueTaskRun } from "#resources/task-runs/queued-runs";
import type { Tools } from "#tools";
import { printTime, TimeText } from "#wire/dates";

/** A dead letter without its message, which may be large. */
export const DeadLetter = namedObject("DeadLetter", {
  id: z.string(),
  created: TimeText,
  /** The name of a queue, or the short name of the work that failed. */
  queue: z.string(),
  key: z.string().nullable(),
  /** The reason of the last failure. */
  reason: z.string().nullable(),
  message_characters: z.int(),
});
type DeadLetter = z.output<typeof DeadLetter>;

/** A dead letter with its message, or with the message's text if the message is not JSON. */
export const DeadLetterWithMessage = DeadLetter.extend({ message: z.unknown() }).meta({ id: "DeadLetterWithMessage" });
type DeadLetterWithMessage = z.output<typeof DeadLetterWithMessage>;

/** The letters that a request names. */
interface LettersWanted {
  ids?: readonly string[] | null | undefined;
  queue?: string | null | undefined;
}

/** How many letters one statement drops, and how many statements one request runs. */
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

  /** Drops letters, the oldest first, at most a bounded number. Gives the number of dropped letters. */
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

/** The result of a replay. */
export const DeadLetterReplay = namedObject("DeadLetterReplay", {
  id: z.string(),
  /** Whether the replay succeeded. Then the letter is removed. */
  replayed: z.boolean(),
  /** The reason why the replay failed. The letter stays, with this reason. */
  reason: z.string().nullable(),
});
type DeadLetterReplay = z.output<typeof DeadLetterReplay>;

/** The work of each queue. The work throws if it fails. A repeat of the work changes nothing. */
const WORK: Readonly<Record<string, (tools: Tools, message: unknown) => Promise<unknown>>> = {
  // The `EventStream` object writes these letters.
  events: (tools, message) => writeAgain(tools, message as ReceivedEvent),
  outbox: (tools, message) => sendEventOf(tools, idIn(message, "state_id")),
  "task-runs": recordLetter,
  "task-queue": (tools, message) => requeueTaskRun(tools, idIn(message, "task_run_id")),
  "retention-runs": (tools, message) => deleteFlowRuns(tools, [idIn(message, "flow_run_id")]),
};

/** Replays a letter. A success removes the letter. After a failure the letter stays, with the new reason. */
export async function replayDeadLetter(
  tools: Tools,
  { id, queue, message }: DeadLetterWithMessage,
): Promise<DeadLetterReplay> {
  const store = new DeadLetterStore(tools);
  try {
    const work = WORK[queue];
    if (work) await work(tools, message);
    else if (isDeadQueue(queue)) await sendBack(tools, queue, message);
    else throw new Error(`nothing replays what failed in ${queue}`);
  } catch (error) {
    const reason = reasonOf(error).slice(0, 2_000);
    await store.noteReason(id, reason);
    return { id, replayed: false, reason };
  }
  await store.drop({ ids: [id] });
  return { id, replayed: true, reason: null };
}

/** Replays letters one after the other: the letters may belong to one run, and the states of a run have an order. */
export async function replayDeadLetters(tools: Tools, letters: readonly DeadLetter[]): Promise<DeadLetterReplay[]> {
  const replays: DeadLetterReplay[] = [];
  for (const { id } of letters) {
    const letter = await new DeadLetterStore(tools).read(id);
    if (letter) replays.push(await replayDeadLetter(tools, letter));
  }
  return replays;
}

function idIn(message: unknown, name: string): string {
  return z.object({ [name]: z.string() }).parse(message)[name] ?? "";
}
