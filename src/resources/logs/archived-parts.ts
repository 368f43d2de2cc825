/** Parts of the archive's bundles of logs. A part has segments of one run, in the order of their key, as they were in D1. */
import { Buffer } from "node:buffer";
import type { Entry } from "#archive/bundle";
import { pack, type Packed, toBytes, unpack } from "#db/packed";
import type { Micros } from "#lib/clock";
import { checkDepth, STORED_JSON_DEPTH } from "#lib/json";
import { textsOfList } from "#lib/json-list";

/** What an index says about a part: the columns of a segment, for all segments of the part together. */
export interface PartHeader {
  run_id: string;
  first_timestamp: Micros;
  /** The digest of the first segment. */
  digest: string;
  last_timestamp: Micros;
  min_level: number;
  max_level: number;
  record_count: number;
}

/** The columns of a segment, without its run and its records. */
export type SegmentHeader = Omit<PartHeader, "run_id">;

/** A segment in a part. */
export interface ArchivedSegment extends SegmentHeader {
  /** The records, as JSON would parse them. */
  records: unknown;
}

/** A segment on its way to the archive. */
export interface MovingSegment extends PartHeader {
  /** The JSON of the records, which stays as it is, byte for byte. */
  json: string;
}

/** A part before it is in a bundle. */
export interface Part {
  header: unknown;
  content: Uint8Array;
}

/** How many bytes of JSON a part has, unless a single segment has more. A reader opens whole parts. */
export const MAX_PART_BYTES = 1_000_000;
/** A segment has at most 4 MB when it is read. More bytes are damage. */
const MAX_BYTES = 6_000_000;

type HeaderLine = readonly [string, Micros, string, Micros, number, number, number];
type SegmentLine = readonly [Micros, string, Micros, number, number, number, unknown];

/** The header of a part in an index. Only `makePart` writes it. */
export function headerOf({ header }: Entry): PartHeader {
  const [run_id, first_timestamp, digest, last_timestamp, min_level, max_level, record_count] = header as HeaderLine;
  return { run_id, first_timestamp, digest, last_timestamp, min_level, max_level, record_count };
}

/** The JSON of the records of a segment. Throws if it could not be read again from a part. */
export function readMoving(packed: Packed): string {
  const text = unpack(packed, MAX_BYTES);
  // A part has its segments two levels deeper.
  checkDepth(text, STORED_JSON_DEPTH - 2);
  if (!Array.isArray(JSON.parse(text))) throw new TypeError("a segment is a list of records");
  return text;
}

/** Makes a part of segments of one run. */
export function makePart(segments: readonly [MovingSegment, ...MovingSegment[]]): Part {
  const [{ run_id, first_timestamp, digest }] = segments;
  const largest = (of: (segment: MovingSegment) => number) => segments.map(of).reduce((a, b) => Math.max(a, b));
  const header: HeaderLine = [
    run_id,
    first_timestamp,
    digest,
    largest((segment) => segment.last_timestamp),
    -largest((segment) => -segment.min_level),
    largest((segment) => segment.max_level),
    segments.reduce((sum, { record_count }) => sum + record_count, 0),
  ];
  return { header, content: toBytes(pack(`[${segments.map(lineOf).join(",")}]`)) };
}

function lineOf(segment: MovingSegment): string {
  const { first_timestamp, digest, last_timestamp, min_level, max_level, record_count, json } = segment;
  const columns = JSON.stringify([first_timestamp, digest, last_timestamp, min_level, max_level, record_count]);
  return `${columns.slice(0, -1)},${json}]`;
}

/** The number of bytes that a segment takes in the JSON of a part. */
export const bytesOf = ({ json }: MovingSegment): number => Buffer.byteLength(json) + 150;

/** Opens a part: its segments, and the number of characters of its JSON. */
export function openPart(content: Uint8Array): { segments: ArchivedSegment[]; characters: number } {
  const text = textOf(content);
  checkDepth(text, STORED_JSON_DEPTH);
  const segments = (JSON.parse(text) as SegmentLine[]).map((line) => ({ ...headerOfLine(line), records: line[6] }));
  return { segments, characters: text.length };
}

/** The segments of a part, with the JSON of their records as it was in D1. */
export function openForRestore(runId: string, content: Uint8Array): MovingSegment[] {
  return textsOfList(textOf(content)).map((text) => {
    const json = textsOfList(text)[6] ?? "[]";
    return { run_id: runId, ...headerOfLine(JSON.parse(text) as SegmentLine), json };
  });
}

const textOf = (content: Uint8Array): string => unpack(content, MAX_BYTES);

function headerOfLine(line: SegmentLine): SegmentHeader {
  const [first_timestamp, digest, last_timestamp, min_level, max_level, record_count] = line;
  return { first_timestamp, digest, last_timestamp, min_level, max_level, record_count };
}
