/** Plays the scenarios against the Worker, and compares the answers with the recorded answers of the original. */
import { SELF } from "cloudflare:test";
import { expect, test } from "vitest";
import { compareTranscripts } from "./diff";
import { type Differences, reasonsOf } from "./differences";
import differences from "./differences.json";
import { NOT_YET } from "./not-yet";
import type { TranscriptStep } from "./play";
import { play } from "./play";
import { scenarios } from "./scenarios";

/** What differs for a reason, as `npm run compatibility` has found it. */
const known: Differences = differences;
const recorded = import.meta.glob<TranscriptStep[]>("./recorded/*.json", { eager: true, import: "default" });

test.for(scenarios.filter(({ name }) => !NOT_YET.has(name)).map((scenario) => [scenario.name, scenario] as const))(
  "%s: the answers are equal to the original's",
  { timeout: 120_000 },
  async ([name, scenario]) => {
    const reference = recorded[`./recorded/${name}.json`];
    if (!reference) throw new Error(`${name} was never recorded`);
    const target = await play(scenario, { baseUrl: "http://sluice/api", fetch: (url, init) => SELF.fetch(url, init) });
    const { unexplained, explained } = compareTranscripts({ scenario: name, reference, target });
    expect(unexplained).toEqual([]);
    expect(reasonsOf(explained)).toEqual(known[name] ?? {});
  },
);
