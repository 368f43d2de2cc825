import { expect, test } from "vitest";
import type { GatheredEvent } from "#events/segments";
import { receiveEvent } from "#events/event";
import { EventGatherer } from "#objects/event-stream/gather";
import { anEvent } from "../../events/world";

/** An event of so many characters. */
function large(characters: number): GatheredEvent {
  const event = receiveEvent(anEvent(), 0);
  return { event, occurred: 0, json: "x".repeat(characters) };
}

test("who sends more than is written at once is asked to wait until it is", async () => {
  const written: number[] = [];
  const gatherer = new EventGatherer(
    async (events) => void written.push(events.length),
    async () => [],
  );
  const adding = [gatherer.add([large(3_900_000)])];
  expect(gatherer.isFull()).toBe(false);
  adding.push(gatherer.add([large(200_000)]));
  expect(gatherer.isFull()).toBe(true);
  await gatherer.settle();
  expect(gatherer.isFull()).toBe(false);
  await Promise.all(adding);
  expect(written).toEqual([1, 1]);
});
