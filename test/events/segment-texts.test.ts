import { Buffer } from "node:buffer";
import fc from "fast-check";
import { expect, test } from "vitest";
import { receiveEvent } from "#events/event";
import { EventFilter, matchesEvent } from "#events/filter";
import { holdsTexts } from "#events/segment-texts";
import { anEvent } from "./world.ts";

/** A piece of the event's JSON with a sign, as a term of a search. */
const aTerm = fc.record({
  from: fc.nat(400),
  length: fc.integer({ min: 1, max: 12 }),
  sign: fc.constantFrom("", "", "+", "-"),
  isQuoted: fc.boolean(),
});

test("no segment with an event that matches a text is passed over", () => {
  fc.assert(
    fc.property(fc.jsonValue(), fc.array(aTerm, { minLength: 1, maxLength: 3 }), (value, terms) => {
      const event = receiveEvent(anEvent({ payload: { Value: value, text: "A Needle, 1.50 \u212A" } }), 0);
      const content = JSON.stringify(event.payload);
      const query = terms
        .map(({ from, length, sign, isQuoted }) => {
          const piece = content.slice(from % content.length, (from % content.length) + length);
          return sign + (isQuoted ? `"${piece.replaceAll(/["\\]/g, "\\$&")}"` : piece);
        })
        .join(" ")
        .slice(0, 200);
      const filter = EventFilter.parse({ text: { query } });
      if (matchesEvent(filter, event))
        expect(holdsTexts(filter)?.(Buffer.from(JSON.stringify([event]))) ?? true).toBe(true);
    }),
    { numRuns: 2_000 },
  );
});

test.for([
  ["needle", true],
  ["NEEDLE straw", true],
  ["+needle +straw", false],
  ["straw", false],
  ["-needle", true],
  ['"a needle"', true],
  ["what", false],
] as const)("whether a segment may have an event with %s is %s", ([query, mayHold]) => {
  const event = receiveEvent(anEvent({ payload: { text: "A Needle" } }), 0);
  expect(holdsTexts(EventFilter.parse({ text: { query } }))?.(Buffer.from(JSON.stringify([event]))) ?? true).toBe(
    mayHold,
  );
});
