/** Every kind of question about events, and their answers in a form that can be compared. */
import { EventFilter } from "#events/filter";
import type { EventReader } from "#events/read-events";
import { countEvents } from "#resources/events/count-by";
import { DAY, HOUR, NOW } from "./archive-world";

export const NAMES = ["prefect.flow-run.Completed", "prefect.flow-run.heartbeat", "test.happened", 'my "own" é'];
export const RUNS = ["prefect.flow-run.a", "prefect.flow-run.b", "prefect.flow-run.c"];
const EDGE = { since: NOW - 40 * HOUR - HOUR / 3, until: NOW - 27 * HOUR + HOUR / 7 };
const ALL = { since: NOW - 30 * DAY, until: NOW };

/** The filters. `ids` are ids of some events. */
export const filtersFor = (ids: readonly string[]) =>
  [
    {},
    { order: "ASC" },
    { event: { name: [NAMES[0], NAMES[3]] } },
    { event: { prefix: ["prefect."], exclude_name: [NAMES[1]] } },
    { event: { exclude_prefix: ["prefect."] }, order: "ASC" },
    { resource: { id: ["thing.1"] } },
    { resource: { id: [RUNS[0], "thing.2"] }, order: "ASC" },
    { resource: { id_prefix: ["thing."], distinct: true } },
    { resource: { distinct: true } },
    { related: { id: [RUNS[1]] } },
    { related: [{ id: [RUNS[1]] }, { role: ["flow-run"] }] },
    { any_resource: { id: [RUNS[2]] } },
    { any_resource: { id_prefix: ["prefect.flow-run."] }, order: "ASC" },
    { id: { id: [...ids] } },
    { id: { id: [...ids, crypto.randomUUID()] }, order: "ASC" },
    { text: { query: "needle" } },
    { text: { query: "thing -needle" }, event: { name: [NAMES[2]] } },
  ].map((filter) => EventFilter.parse(filter));

const WINDOWS = [ALL, EDGE];

/** The answers to all questions. `readerNow` makes a reader for each question. */
export async function answersOf(readerNow: () => EventReader, ids: readonly string[]): Promise<unknown[]> {
  const answers: unknown[] = [];
  for (const filter of filtersFor(ids)) {
    for (const window of WINDOWS) {
      answers.push(await pagesOf(readerNow, filter, window));
      const timed = { ...filter, occurred: window };
      const ask = (countable: "time" | "event" | "resource", time_unit: "hour" | "day" | "minute", time_interval = 1) =>
        countEvents(readerNow(), { filter: timed, countable, time_unit, time_interval }, NOW);
      answers.push(await ask("time", "hour"), await ask("time", "minute", 100));
      answers.push(await ask("event", "day"), await ask("resource", "day"));
      answers.push([...((await readerNow().countByHour({ filter, window })) ?? [])].toSorted(([a], [b]) => a - b));
    }
  }
  return answers;
}

/** All pages of seven events, and the totals. */
export async function pagesOf(readerNow: () => EventReader, filter: EventFilter, window: typeof ALL) {
  const first = await readerNow().firstPage({ filter, window, limit: 7 });
  const pages = [first.found.map(({ event }) => event)];
  for (let after = first.next; after !== null;) {
    const { found, next } = await readerNow().page({ filter, window, limit: 7, after });
    pages.push(found.map(({ event }) => event));
    after = next;
  }
  // An empty last page says only that the page before was full.
  return { total: first.total, isWhole: first.isWhole, pages: pages.filter((page) => page.length > 0) };
}
