import { expect, test, vi } from "vitest";
import type { GatheredEvent } from "#events/segments";
import { receiveEvent } from "#events/event";
import { EventsSetAside } from "#events/emit";
import { EventGatherer } from "#objects/event-stream/gather";
import { anEvent } from "../../events/world";

/** An event of so many characters. */
function large(characters: number): GatheredEvent {
  const event = receiveEvent(anEvent(), 0);
  return { event, occurred: 0, json: "x".repeat(characters) };
}

test("a sender with more events than one write waits until its events are written", async () => {
  const written: number[] = [];
  const gatherer = new EventGatherer({
    write: async (events) => void written.push(events.length),
    recall: async () => [],
    setAside: async () => {},
  });
  const adding = [gatherer.add([large(3_900_000)])];
  expect(gatherer.isFull()).toBe(false);
  adding.push(gatherer.add([large(200_000)]));
  expect(gatherer.isFull()).toBe(true);
  await gatherer.settle();
  expect(gatherer.isFull()).toBe(false);
  await Promise.all(adding);
  expect(written).toEqual([1, 1]);
});

/** A gatherer that fails to write each batch with a bad event. */
function aGatherer(bad: ReadonlySet<string>, failure: () => Error = () => new Error("malformed")) {
  const written: string[] = [];
  const setAside: string[] = [];
  const gatherer = new EventGatherer({
    async write(events) {
      if (events.some(({ event }) => bad.has(event.id))) throw failure();
      written.push(...events.map(({ event }) => event.id));
    },
    recall: async () => [],
    setAside: async ({ event }) => void setAside.push(event.id),
  });
  return { gatherer, written, setAside };
}

const idOf = ({ event }: GatheredEvent): string => event.id;

test("an event that cannot be written fails only its own sender", async () => {
  const events = Array.from({ length: 8 }, () => large(10));
  const bad = events.slice(2, 3);
  const { gatherer, written, setAside } = aGatherer(new Set(bad.map(idOf)));
  const senders = events.map((event) => gatherer.add([event]));
  const all = gatherer.add(events);
  await gatherer.settle();
  const outcomes = await Promise.allSettled(senders);
  expect(outcomes.map(({ status }) => status)).toEqual(
    events.map((event) => (event === bad[0] ? "rejected" : "fulfilled")),
  );
  await expect(all).rejects.toEqual(new EventsSetAside(bad.map(idOf)));
  expect(written).toEqual(events.filter((event) => event !== bad[0]).map(idOf));
  expect(setAside).toEqual(bad.map(idOf));
});

test("an event that became a dead letter is not tried again if its sender repeats it, but is tried by a replay", async () => {
  const event = large(10);
  const bad = new Set([idOf(event)]);
  const { gatherer, written, setAside } = aGatherer(bad);
  await expect(gatherer.add([event])).rejects.toThrow("dead letters");
  await gatherer.add([event]);
  expect(setAside).toEqual([idOf(event)]);
  bad.clear();
  await gatherer.add([event], true);
  expect(written).toEqual([idOf(event)]);
});

test("if the database is unreachable, no event becomes a dead letter, and all events are tried again", async () => {
  const events = [large(10), large(10)];
  const bad = new Set(events.map(idOf));
  const { gatherer, written, setAside } = aGatherer(
    bad,
    () => new Error("D1 DB is overloaded. Too many requests queued."),
  );
  await expect(gatherer.add(events)).rejects.toThrow("overloaded");
  bad.clear();
  await gatherer.add(events);
  expect([written, setAside]).toEqual([events.map(idOf), []]);
});

test("a wait for some events writes them at once, together with the earlier events", async () => {
  const { gatherer, written } = aGatherer(new Set());
  const events = [large(10), large(10)] as const;
  const adding = gatherer.add(events);
  expect(await gatherer.settleSome((event) => event === events[1])).toBe(true);
  expect(written).toEqual(events.map(idOf));
  await adding;
});

test("a wait for unknown events does not write the other events", async () => {
  const { gatherer, written } = aGatherer(new Set());
  const adding = gatherer.add([large(10)]);
  expect(await gatherer.settleSome(() => false)).toBe(false);
  expect(written).toEqual([]);
  await adding;
});

test("repeated waits make at most forty batches a second", async () => {
  vi.useFakeTimers();
  const batches: number[] = [];
  const gatherer = new EventGatherer({
    write: async (events) => void batches.push(events.length),
    recall: async () => [],
    setAside: async () => {},
  });
  for (let moments = 0; moments < 190; moments++) {
    void gatherer.add([large(10)]);
    void gatherer.settleSome(() => true);
    await vi.advanceTimersByTimeAsync(5);
  }
  vi.useRealTimers();
  expect(batches.length).toBeGreaterThan(10);
  expect(batches.length).toBeLessThanOrEqual(40);
});

test("a wait for an event ends with the write of the event, also if the write has already begun", async () => {
  let finish = () => {};
  const written: string[] = [];
  const gatherer = new EventGatherer({
    async write(events) {
      await new Promise<void>((resolve) => (finish = resolve));
      written.push(...events.map(idOf));
    },
    recall: async () => [],
    setAside: async () => {},
  });
  const event = large(10);
  void gatherer.add([event]);
  gatherer.flush();
  const settling = gatherer.settleSome(() => true).then((any) => [any, [...written]]);
  await vi.waitFor(() => finish());
  await new Promise((resolve) => setTimeout(resolve));
  finish();
  expect(await settling).toEqual([true, [idOf(event)]]);
});
