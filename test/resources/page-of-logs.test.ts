import fc from "fast-check";
import { expect, test } from "vitest";
import type { LogSort } from "#filters/logs";
import { endsIn, PageOfLogs } from "#resources/logs/page-of-logs";

interface Segment {
  run_id: string;
  first_timestamp: number;
  last_timestamp: number;
  digest: string;
  bytes: number;
  times: number[];
}

function segmentOf(times: readonly number[], index: number): Segment {
  const [first_timestamp, last_timestamp] = [Math.min(...times), Math.max(...times)];
  return { run_id: "r", first_timestamp, last_timestamp, digest: String(index), bytes: 1, times: [...times] };
}

/** Adds segments in their order until the page is complete. Returns the page, and how many segments were added. */
function pageOf(segments: readonly Segment[], sort: LogSort, offset: number, limit: number) {
  const { near } = endsIn(sort);
  const sign = sort === "TIMESTAMP_ASC" ? 1 : -1;
  const page = new PageOfLogs(sort, offset, limit);
  let added = 0;
  for (const segment of segments.toSorted((a, b) => sign * (a[near] - b[near]))) {
    if (page.isComplete(segment[near])) break;
    for (const [place, timestamp] of segment.times.entries()) page.add(segment, place, { timestamp, message: "m" });
    added++;
  }
  const found = page.found().map(({ segment: { digest }, place }) => [digest, place]);
  return { found, added };
}

function plainPage(segments: readonly Segment[], sort: LogSort, offset: number, limit: number) {
  const sign = sort === "TIMESTAMP_ASC" ? 1 : -1;
  return segments
    .flatMap((segment) => segment.times.map((time, place) => ({ segment, time, place })))
    .toSorted(
      (a, b) =>
        sign * (a.time - b.time) ||
        a.segment.first_timestamp - b.segment.first_timestamp ||
        (a.segment.digest < b.segment.digest ? -1 : Number(a.segment.digest > b.segment.digest)) ||
        a.place - b.place,
    )
    .slice(offset, offset + limit)
    .map(({ segment, place }) => [segment.digest, place]);
}

const SORTS = ["TIMESTAMP_ASC", "TIMESTAMP_DESC"] as const;

test("a page has the logs that a plain sort gives", () => {
  const times = fc.array(fc.nat(30), { minLength: 1, maxLength: 5 });
  const property = fc.property(
    fc.array(times, { maxLength: 20 }),
    fc.constantFrom(...SORTS),
    fc.nat(40),
    fc.integer({ min: 1, max: 10 }),
    (all, sort, offset, limit) => {
      const segments = all.map(segmentOf);
      expect(pageOf(segments, sort, offset, limit).found).toEqual(plainPage(segments, sort, offset, limit));
    },
  );
  fc.assert(property, { numRuns: 1_000 });
});

test.for(SORTS)(
  "a page far back among many overlapping segments is right, and no later segment is added: %s",
  (sort) => {
    const segments = Array.from({ length: 2_000 }, (_, index) =>
      segmentOf(
        Array.from({ length: 50 }, (_, n) => index * 10 + ((n * 7) % 60)),
        index,
      ),
    );
    for (const offset of [0, 9_990, 45_000, 90_000]) {
      const { found, added } = pageOf(segments, sort, offset, 200);
      expect(found).toEqual(plainPage(segments, sort, offset, 200));
      expect(added).toBeLessThan((offset + 200) / 50 + 20);
    }
    expect(pageOf(segments, sort, 200_000, 200).found).toEqual([]);
  },
);
