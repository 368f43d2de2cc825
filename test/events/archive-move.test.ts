/** Events move to the archive, and no answer changes. */
import fc from "fast-check";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { answersOf, NAMES, RUNS } from "./archive-queries";
import { archiveTools, emptyEvents, HOUR, moveAll, readerOf, settleOutbox, silence, write } from "./archive-world";

beforeEach(async () => {
  await emptyEvents();
  await settleOutbox();
  silence();
});
afterEach(() => void vi.restoreAllMocks());

const anAge = fc.nat(60 * 6).map((tenths) => (tenths * HOUR) / 6);
const anEvent = fc.record({
  age: anAge,
  name: fc.constantFrom(...NAMES),
  about: fc.constantFrom("thing.1", "thing.2", ...RUNS),
  related: fc.subarray(RUNS),
  payload: fc.constantFrom({}, { text: 'a needle, "quoted" \\ 1.50 \u2028' }, { number: 1e21, nested: [{ id: "x" }] }),
});
/** Batches that were written at once or late; some wait for the consumer. */
const aBatch = fc.record({
  events: fc.array(anEvent, { minLength: 1, maxLength: 12 }),
  ago: fc.constantFrom(0, 2 * HOUR, 26 * HOUR, 26 * HOUR, 60 * HOUR, 60 * HOUR),
  isWork: fc.constantFrom(false, false, false, true),
});

test(
  "for random events: every question has the same answer before and after the moves",
  { timeout: 240_000 },
  async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(aBatch, { minLength: 1, maxLength: 8 }),
        fc.array(aBatch, { maxLength: 2 }),
        async (batches, late) => {
          await emptyEvents();
          await settleOutbox();
          const workspace = crypto.randomUUID();
          const tools = archiveTools(workspace);
          const readerNow = () => readerOf(archiveTools(workspace));
          const ids: string[] = [];
          const writeAll = async (some: typeof batches) => {
            for (const { events, ago, isWork } of some) {
              const written = await write(workspace, events, { ago, isWork });
              ids.push(...written.slice(0, 3).map(({ id }) => id));
            }
          };
          await writeAll(batches);
          const before = await answersOf(readerNow, ids);
          await moveAll(tools);
          expect(await answersOf(readerNow, ids)).toEqual(before);
          // Events that arrive late get a bundle of their own.
          await writeAll(late);
          const withLate = await answersOf(readerNow, ids);
          await moveAll(tools);
          expect(await answersOf(readerNow, ids)).toEqual(withLate);
        },
      ),
      { numRuns: 6 },
    );
  },
);
