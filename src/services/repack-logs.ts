/**
 * Packs the segments of logs that were written as text, before there were packed columns. The sweep goes once through
 * the key of the table. Its mark then says that it is done, and a turn reads only the mark.
 */
import { type SQL, sql } from "drizzle-orm";
import * as z from "zod";
import { pack } from "#db/packed";
import { each } from "#db/sql";
import { log_segment } from "#db/tables/log";
import { chunksBySize } from "#lib/chunks";
import { log } from "#lib/log";
import { takeTurn } from "#services/turns";
import type { SweepTools } from "#tools";

/** A segment's key: its workspace, run, first time and digest. */
const Key = z.tuple([z.string(), z.string(), z.number(), z.string()]);
type Key = z.output<typeof Key>;

const START: Key = ["", "", 0, ""];
/** The mark after the last segment. */
const DONE = "done";
/** How many segments a step looks at, and how many bytes of text it packs. */
const MAX_SEGMENTS = 500;
const MAX_BYTES = 1_000_000;
/** How many steps a turn takes. */
const STEPS = 20;
/** How many characters are packed before other requests are handled: about 10 ms of work. */
const MAX_CHARACTERS_AT_ONCE = 200_000;
/** The beginning of a text, with the id of its first record. No other text of the same key has it. */
const BEGINNING = 60;

interface Found {
  key: string;
  /** The number of bytes if the segment is a text that may be packed, or 0. */
  bytes: number;
}

/** Takes a turn of the sweep. Rows that do not shrink stay as they are. */
export function packOldLogs(tools: SweepTools): Promise<void> {
  return takeTurn(tools, {
    name: "pack old logs",
    most: MAX_SEGMENTS,
    steps: STEPS,
    begin: (mark) => (mark === DONE ? null : (mark ?? JSON.stringify(START))),
    async step({ place, most, note }) {
      const limit = Math.max(1, most);
      const found = await tools.db.rows<Found>(selectNext(Key.parse(JSON.parse(place)), limit));
      const [part = []] = chunksBySize(found, MAX_BYTES, ({ bytes }) => bytes);
      const texts = part.filter(({ bytes }) => bytes > 0).map(({ key }) => key);
      if (most === 0) log(tools, "error", "a segment of logs is not packed, because no step with it ends", { place });
      else if (texts.length > 0) {
        await note();
        await packSegments(tools, texts);
      }
      const last = part.at(-1);
      if (!last || (part.length === found.length && found.length < limit)) return { place: DONE, isEnd: true };
      return { place: last.key, isEnd: false };
    },
  });
}

/** The next segments of all workspaces, in the order of their keys. */
export function selectNext(after: Key, most: number): SQL {
  return sql`select json_array(s.workspace_id, s.run_id, s.first_timestamp, s.digest) as key,
      iif(typeof(s.records) = 'text', octet_length(s.records), 0) as bytes
    from ${log_segment} s
    where (s.workspace_id, s.run_id, s.first_timestamp, s.digest) > (${after[0]}, ${after[1]}, ${after[2]}, ${after[3]})
    order by s.workspace_id, s.run_id, s.first_timestamp, s.digest limit ${most}`;
}

async function packSegments({ db }: SweepTools, keys: readonly string[]): Promise<void> {
  const rows = await db.rows<{ key: string; records: string }>(sql`
    select k.value as key, s.records from ${each(keys)} k
    cross join ${log_segment} s on ${hasKey(sql`k.value`)} where typeof(s.records) = 'text' and s.records like '[%'`);
  const changes: [key: string, beginning: string, packed: string][] = [];
  let characters = 0;
  for (const { key, records } of rows) {
    const packed = pack(records);
    if (packed !== records) changes.push([key, records.slice(0, BEGINNING), packed]);
    characters += records.length;
    if (characters < MAX_CHARACTERS_AT_ONCE) continue;
    await scheduler.wait(1);
    characters = 0;
  }
  if (changes.length > 0) await db.run(replace(changes));
}

/** Replaces texts by their packed form. A segment that was deleted meanwhile, or that was packed by another turn, is left as it is. */
export function replace(changes: readonly [key: string, beginning: string, packed: string][]): SQL {
  return sql`update ${log_segment} as s set records = unhex(v.value ->> 2) from ${each(changes)} v
    where ${hasKey(sql`(v.value ->> 0)`)} and typeof(s.records) = 'text'
      and substr(s.records, 1, ${BEGINNING}) = v.value ->> 1`;
}

const hasKey = (key: SQL): SQL =>
  sql`s.workspace_id = ${key} ->> 0 and s.run_id = ${key} ->> 1 and s.first_timestamp = ${key} ->> 2 and s.digest = ${key} ->> 3`;
