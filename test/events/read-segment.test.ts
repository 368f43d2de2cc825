import fc from "fast-check";
import { expect, test } from "vitest";
import { pack, toBytes } from "#db/packed";
import { type ReceivedEvent, receiveEvent } from "#events/event";
import { EventFilter, matchesEvent } from "#events/filter";
import { type ClosedSegment, readSegment } from "#events/read-segment";
import { holdsTexts } from "#events/segment-texts";
import { anEvent } from "./world.ts";

const WORDS = ["needle", "STRAW", "\u0130tem", "\u212Aey", "a needle", 'quo"te', "ä"];
const filters = [
  { text: { query: "needle" } },
  { text: { query: "straw key" } },
  { text: { query: "+item -needle" } },
  { text: { query: '"a needle" quo"te' } },
  { resource: { id: ["thing.1", 'thing."2"'] } },
  { any_resource: { id_prefix: ["thing.1"] }, text: { query: "needle" } },
].map((filter) => EventFilter.parse(filter));

function closed(events: readonly ReceivedEvent[]): ClosedSegment {
  const json = JSON.stringify(events);
  return { id: "one", events: pack(json), event_count: events.length, bytes: json.length };
}

/** Payloads that have words, and objects that begin as an event does. */
const aPayload = fc.record({
  Text: fc.array(fc.constantFrom(...WORDS)).map((words) => words.join(" ")),
  list: fc.array(fc.record({ occurred: fc.constantFrom(...WORDS), event: fc.jsonValue() }), { maxLength: 2 }),
});
const someEvents = fc.array(
  fc
    .tuple(aPayload, fc.constantFrom("thing.1", 'thing."2"', "thing.12", "other"))
    .map(([payload, id]) => receiveEvent(anEvent({ payload, resource: { "prefect.resource.id": id } }), 0)),
  { maxLength: 6 },
);

test("of a segment with a condition, no wanted event is left out, and none is changed", () => {
  fc.assert(
    fc.property(someEvents, (events) => {
      const segment = closed(events);
      for (const filter of filters) {
        const wanted = events.filter((event) => matchesEvent(filter, event));
        const wantedOf = (closedOne: ClosedSegment) =>
          readSegment(closedOne, holdsTexts(filter)).filter((event) => matchesEvent(filter, event));
        expect(wantedOf(segment)).toEqual(wanted);
        expect(wantedOf({ ...segment, events: toBytes(segment.events as string) })).toEqual(wanted);
        expect(wantedOf({ ...segment, events: JSON.stringify(events) })).toEqual(wanted);
      }
    }),
  );
});

test("only the events that meet the condition are parsed", () => {
  const events = ["a NEEDLE", "straw", "needles"].map((text) => receiveEvent(anEvent({ payload: { text } }), 0));
  const read = readSegment(closed(events), holdsTexts(EventFilter.parse({ text: { query: "needle" } })));
  expect(read).toEqual([events[0], events[2]]);
});

test("a word is found wherever it lies in a large segment", () => {
  const holds = holdsTexts(EventFilter.parse({ text: { query: "needle" } }));
  for (let before = 32_300; before < 32_600; before++) {
    const event = receiveEvent(anEvent({ payload: { text: `${"ä".repeat(before / 2)}NeedLe` } }), 0);
    expect(readSegment(closed([event]), holds)).toEqual([event]);
  }
});

test("no letter outside of ASCII has a lower case with letters of ASCII, apart from two", () => {
  const found: string[] = [];
  for (let code = 0x80; code <= 0x10ffff; code++) {
    const letter = String.fromCodePoint(code);
    if (/[a-z]/.test(letter.toLowerCase())) found.push(letter);
  }
  expect(found).toEqual(["\u0130", "\u212A"]);
});
