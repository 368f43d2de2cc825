import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { inHalves } from "#lib/halving";

describe("a batch with bad items", () => {
  test("loses only the bad items, for any set of bad items", async () => {
    const items = fc.uniqueArray(fc.integer({ min: 0, max: 99 }), { maxLength: 40 });
    const bad = fc.func(fc.boolean());
    await fc.assert(
      fc.asyncProperty(items, bad, async (batch, isBad) => {
        const [done, refused] = [new Set<number>(), new Map<number, unknown>()];
        await inHalves(
          batch,
          async (some) => {
            const culprit = some.find((item) => isBad(item));
            if (culprit !== undefined) throw new Error(`cannot do ${culprit}`);
            for (const item of some) done.add(item);
          },
          async (item, error) => void refused.set(item, error),
        );
        expect([...refused.keys()]).toEqual(batch.filter((item) => isBad(item)));
        expect([...done]).toEqual(batch.filter((item) => !isBad(item)));
        for (const [item, error] of refused) expect(error).toEqual(new Error(`cannot do ${item}`));
      }),
    );
  });

  test("with one bad item of a thousand is tried at most twice for each halving", async () => {
    const asked: number[] = [];
    const thousand = Array.from({ length: 1_000 }, (_, index) => index);
    await inHalves(
      thousand,
      async (some) => {
        asked.push(some.length);
        if (some.includes(700)) throw new Error("bad");
      },
      async () => {},
    );
    expect(asked.length).toBeLessThanOrEqual(21);
  });

  test("fails as a whole if no single item is the cause", async () => {
    const blamed: number[] = [];
    const work = inHalves(
      [1, 2, 3],
      () => Promise.reject(new Error("connection lost")),
      async (item) => void blamed.push(item),
      { isPassing: (error) => error instanceof Error && error.message === "connection lost" },
    );
    await expect(work).rejects.toThrow("connection lost");
    expect(blamed).toEqual([]);
  });

  test("is not tried if it is empty", async () => {
    await inHalves(
      [],
      () => Promise.reject(new Error("asked")),
      () => Promise.reject(new Error("blamed")),
    );
  });
});
