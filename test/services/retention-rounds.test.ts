import { sql } from "drizzle-orm";
import { beforeEach, expect, test } from "vitest";
import { flow } from "#db/tables/flow";
import { type Page, type Place, takeRound } from "#services/retention-rounds";
import { aFlow } from "../support/world";
import { empty, NOW, toolsAt } from "./retention-world";

beforeEach(() => empty("flow"));

/** A round over the numbers from 0 on. One number fails each page that contains it. */
function aRound(count: number, bad: number) {
  const done = new Set<number>();
  const work = async (_: unknown, { after, most }: Page): Promise<Place | null> => {
    const first = (after?.at ?? -1) + 1;
    const items = Array.from({ length: Math.min(Math.max(1, most), count - first) }, (_, index) => first + index);
    if (most > 0) {
      if (items.includes(bad)) throw new Error("it never ends");
      for (const item of items) done.add(item);
    }
    const last = items.at(-1);
    return last === undefined || last === count - 1 ? null : { at: last, id: "" };
  };
  const round = {
    name: "numbers",
    everySeconds: 60,
    pages: 4,
    items: 500,
    table: flow,
    hasWork: () => sql`true`,
    work,
  };
  return { round, done };
}

test.for([0, 1, 499, 737, 999])(
  "an item that a round cannot finish, such as %d of 1000, does not delay other items",
  async (bad) => {
    await aFlow();
    const { round, done } = aRound(1_000, bad);
    let turns = 0;
    for (; done.size < 999 && turns < 200; turns++) await takeRound(toolsAt(NOW), round).catch(() => {});
    expect([done.size, done.has(bad)]).toEqual([999, false]);
    expect(turns).toBeLessThan(60);
  },
);
