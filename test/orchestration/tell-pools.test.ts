import { expect, test } from "vitest";
import { isNewsToPool } from "#orchestration/tell-pools";
import { STATE_TYPES } from "#wire/state";

test("a work pool gets a notice of every transition except those between two states with a slot", () => {
  for (const from of [null, ...STATE_TYPES]) {
    for (const to of STATE_TYPES) {
      const among = (type: string | null) => ["PENDING", "RUNNING", "CANCELLING"].includes(type ?? "");
      expect([from, to, isNewsToPool(from, to)]).toEqual([from, to, !(among(from) && among(to))]);
    }
  }
});
