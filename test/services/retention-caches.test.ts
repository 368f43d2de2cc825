import { env } from "cloudflare:test";
import { beforeEach, expect, test } from "vitest";
import { insertRows } from "#db/sql";
import { task_run_state_cache } from "#db/tables/task-run";
import { removeOldCaches } from "#services/retention-leftovers";
import { WORKSPACE } from "../support/world";
import { DAY, empty, failingD1, HOUR, NOW, toolsAt, untilDone } from "./retention-world";

beforeEach(() => empty("task_run_state_cache"));

const ON = {
  PREFECT_SERVER_SERVICES_DB_VACUUM_ENABLED: "events,flow_runs",
  PREFECT_SERVER_SERVICES_DB_VACUUM_RETENTION_PERIOD: String((30 * DAY) / 1_000_000),
};

async function caches(entries: readonly { key: string; created?: number; expires?: number | null }[]): Promise<void> {
  for (let first = 0; first < entries.length; first += 1_000) {
    await toolsAt(NOW).db.batch([
      insertRows(
        task_run_state_cache,
        entries.slice(first, first + 1_000).map(({ key, created = NOW - DAY, expires = null }, index) => ({
          workspace_id: WORKSPACE,
          cache_key: key,
          state_id: `state-${first + index}`,
          created,
          cache_expiration: expires,
          state: "{}",
        })),
      ),
    ]);
  }
}

const keys = async () =>
  (
    await env.DB.prepare("select cache_key from task_run_state_cache order by 1").all<{ cache_key: string }>()
  ).results.map(({ cache_key }) => cache_key);

test("expired entries are removed, and the others are kept as long as runs are kept", async () => {
  await caches([
    { key: "expired", expires: NOW - 1 },
    { key: "valid", expires: NOW + HOUR },
    { key: "for good", created: NOW - 365 * DAY },
    { key: "end of time", expires: 1e24 },
  ]);
  await untilDone(() => removeOldCaches(toolsAt(NOW)));
  expect(await keys()).toEqual(["end of time", "for good", "valid"]);
});

test("if old runs are removed, entries of the same age are also removed", async () => {
  await caches([
    { key: "old", created: NOW - 31 * DAY },
    { key: "old, and valid", created: NOW - 31 * DAY, expires: NOW + HOUR },
    { key: "young", created: NOW - 29 * DAY },
  ]);
  await untilDone(() => removeOldCaches(toolsAt(NOW, ON)));
  expect(await keys()).toEqual(["young"]);
});

test("thousands of entries take several pages, and failed calls lose nothing", async () => {
  const entries = Array.from({ length: 2_500 }, (_, index) => ({
    key: `key-${String(index).padStart(4, "0")}`,
    expires: index % 2 === 0 ? NOW - 1 : null,
  }));
  await caches(entries);
  const d1 = failingD1(["made", "made", "lost", "made", "made, but the answer is lost", "made", "lost"]);
  await untilDone(() => removeOldCaches(toolsAt(NOW, {}, d1)));
  expect(await keys()).toEqual(entries.filter(({ expires }) => expires === null).map(({ key }) => key));
});

test("the next round removes the entries that have expired since then", async () => {
  await caches([{ key: "k", expires: NOW + 1 }]);
  await untilDone(() => removeOldCaches(toolsAt(NOW)));
  expect(await keys()).toEqual(["k"]);
  await untilDone(() => removeOldCaches(toolsAt(NOW + 2 * HOUR)));
  expect(await keys()).toEqual([]);
});
