/**
 * A database that older code has written gives the same answers now: at once, and after the sweeps have converted its
 * rows while newer data was written. `old-database/make.ts` makes the databases.
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { type Answer, askAll, readAnswers, readRequests } from "./old-database/answers.ts";
import { convert, countOldRows, moveEvents } from "./old-database/conversion.ts";
import { withOrderedTies } from "./old-database/differences.ts";
import { load } from "./old-database/load.ts";
import { COMMITS, SETTINGS, unpackDatabase } from "./old-database/server.ts";
import { Api } from "./support/api.ts";
import { World } from "./support/world.ts";

const LOAD_MS = 2_000;

describe("a database of older code", { concurrency: true }, () => {
  for (const commit of COMMITS) {
    test(`gives the recorded answers, before and after its conversion (${commit})`, { timeout: 300_000 }, async (t) => {
      const world = await World.of(t);
      const api = new Api(world.apiUrl);
      const requests = readRequests(commit);
      const expected = readAnswers(commit);
      const compare = async (when: string) => {
        const answers = await askAll(api, requests);
        for (const [index, request] of requests.entries()) {
          assertSame(answers[index], expected[index], request.path, `${when}: ${JSON.stringify(request)}`);
        }
      };

      unpackDatabase(commit, world.data);
      const old = countOldRows(world.data);
      assert.ok(old > 0, "the fixture has no row in an old form");
      await world.startSluice(SETTINGS, "node");
      await compare("at once");
      const [runs] = await Promise.all([load(api, LOAD_MS), convert(new URL(world.apiUrl).origin, world.data)]);
      await compare("after the conversion");
      const left = await moveEvents(new URL(world.apiUrl).origin, world.data);
      await compare("from the archive");
      t.diagnostic(
        `${requests.length} requests, ${old} rows converted beside ${runs} newer runs, ${left} segments stay in D1`,
      );
    });
  }
});

/** Throws an error that has both the request and the lines that differ. */
function assertSame(answer: Answer | undefined, expected: Answer | undefined, path: string, asked: string): void {
  const ordered = (one: Answer | undefined) => one && { ...one, body: withOrderedTies(path, one.body) };
  try {
    assert.deepEqual(ordered(answer), ordered(expected));
  } catch (cause) {
    throw new Error(`another answer ${asked}`, { cause });
  }
}
