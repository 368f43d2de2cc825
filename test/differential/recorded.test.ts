/** A sample of the random walk, compared with the recorded answers of the original. */
import { SELF } from "cloudflare:test";
import { expect, test } from "vitest";
import { compare, kindOf } from "./compare";
import { play, type Played } from "./play";
import recorded from "./recorded.json";
import { Sequence } from "./sequence";

/** Plays at the same time. Each play mostly waits. */
const LANES = 6;

test("the answers to random proposals are the original's", { timeout: 180_000 }, async () => {
  const server = { baseUrl: "http://sluice/api", fetch: (url: string, init: RequestInit) => SELF.fetch(url, init) };
  const waiting = recorded.map(({ sequence, played }) => ({
    sequence: Sequence.parse(sequence),
    // The file has the return value of `play`.
    played: played as Played,
  }));
  const different: string[] = [];
  const walk = async () => {
    for (let next = waiting.pop(); next; next = waiting.pop()) {
      const { unexplained } = compare(next.sequence, next.played, await play(next.sequence, server));
      if (unexplained.length > 0) different.push(`${kindOf(unexplained)} in ${JSON.stringify(next.sequence)}`);
    }
  };
  await Promise.all(Array.from({ length: LANES }, walk));
  expect(different).toEqual([]);
});
