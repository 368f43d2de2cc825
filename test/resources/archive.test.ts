import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { printTime } from "#wire/dates";
import {
  archiveTools,
  emptyEvents,
  HOUR,
  moveAll,
  NOW,
  segmentsIn,
  settleOutbox,
  write,
} from "../events/archive-world";
import { askApp } from "../support/app";
import { api, WORKSPACE } from "../support/world";

const NOTHING = { rows: 0, objects: 0, bytes: 0 };

const PATH = "/admin/archive/restore";
const AGE = 30 * HOUR;

beforeEach(async () => {
  await emptyEvents();
  await settleOutbox();
});
afterEach(() => void vi.restoreAllMocks());

const archived = async () => (await api<{ r2: unknown }>("GET", "/admin/database")).body.r2;

test("the archive's size is told, and an hour is restored on request", async () => {
  await write(WORKSPACE, [{ age: AGE }, { age: AGE }, { age: AGE }], { ago: AGE });
  await moveAll(archiveTools(WORKSPACE));
  expect(await segmentsIn(WORKSPACE)).toBe(0);
  expect(await archived()).toMatchObject({ events: { rows: 3, objects: 1 } });
  const { status, body } = await api("POST", PATH, { hour: printTime(NOW - AGE) });
  expect([status, body]).toEqual([200, { bundles: 1, events: 3, runs: 0, logs: 0, unreadable: 0 }]);
  expect(await segmentsIn(WORKSPACE)).toBe(1);
  expect(await archived()).toEqual({ size_bytes: 0, events: NOTHING, logs: NOTHING, runs: NOTHING });
});

test.each([{}, { hour: "yesterday" }, { hour: null }, { hour: printTime(NOW), more: 1 }])(
  "%j is refused",
  async (body) => {
    expect((await api("POST", PATH, body)).status).toBe(422);
  },
);

test("without an archive there is nothing to restore, and no size", async () => {
  const ask = (method: string, path: string, body?: object) =>
    askApp(
      new Request(`http://sluice/api${path}`, {
        method,
        headers: { "content-type": "application/json" },
        ...(body && { body: JSON.stringify(body) }),
      }),
      { ARCHIVE: undefined as never },
    );
  const refusal = await ask("POST", PATH, { hour: printTime(NOW) });
  expect([refusal.status, await refusal.json()]).toEqual([422, { detail: "This server has no archive." }]);
  expect(await (await ask("GET", "/admin/database")).json()).toMatchObject({ r2: null });
});
