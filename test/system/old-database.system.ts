/**
 * A database that older code has written gives the same answers now: at once, and after the sweeps, with newer data
 * beside it. `old-database/make.ts` makes the databases.
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { type Answer, askAll, readAnswers, readRequests } from "./old-database/answers.ts";
import { load } from "./old-database/load.ts";
import { COMMITS, SETTINGS, unpackDatabase } from "./old-database/server.ts";
import { Api } from "./support/api.ts";
import { World } from "./support/world.ts";

const LOAD_MS = 2_000;

describe("a database of older code", { concurrency: true }, () => {
  for (const commit of COMMITS) {
    test(`gives the recorded answers, before and after the sweeps (${commit})`, { timeout: 300_000 }, async (t) => {
      const world = await World.of(t);
      const api = new Api(world.apiUrl);
      const requests = readRequests(commit);
      const expected = readAnswers(commit);
      const compare = async (when: string) => {
        const answers = await askAll(api, requests);
        for (const [index, request] of requests.entries()) {
          assertSame(answers[index], expected[index], `${when}: ${JSON.stringify(request)}`);
        }
      };

      unpackDatabase(commit, world.data);
      const first = await world.startSluice(SETTINGS, "node");
      await compare("at once");
      const before = await load(api, LOAD_MS);
      first.signal("SIGTERM");
      await first.end(30);

      // A start runs the jobs of the clock at once. A sweep that needs more turns needs more starts here.
      await world.startSluice(SETTINGS, "node");
      const after = await load(api, LOAD_MS);
      await compare("after the sweeps");
      t.diagnostic(`${requests.length} requests, ${before + after} newer runs`);
    });
  }
});

/** Throws an error that has both the request and the lines that differ. */
function assertSame(answer: Answer | undefined, expected: Answer | undefined, asked: string): void {
  try {
    assert.deepEqual(answer, expected);
  } catch (cause) {
    throw new Error(`another answer ${asked}`, { cause });
  }
}
