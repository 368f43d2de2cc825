import { expect, test, vi } from "vitest";
import { aDeployment, aFlow, api } from "../support/world";
import { ask, failingJobs, poisoned, type Question } from "./world";

vi.spyOn(console, "error").mockImplementation(() => {});

const SCHEDULES: readonly (readonly [string, Record<string, unknown>])[] = [
  [
    "excludes each of its dates",
    { rrule: "DTSTART:20200101T000000\nRRULE:FREQ=DAILY\nEXRULE:FREQ=DAILY", timezone: "UTC" },
  ],
  [
    "has dates that no month has",
    { rrule: "DTSTART:20200101T000000\nRRULE:FREQ=SECONDLY;BYMONTH=2;BYMONTHDAY=30", timezone: "UTC" },
  ],
  ["begins in the year 1, each second", { rrule: "DTSTART:00010101T000000\nRRULE:FREQ=SECONDLY", timezone: "UTC" }],
  ["is no rule", { rrule: "nonsense", timezone: "UTC" }],
  ["is no cron", { cron: "nonsense", timezone: "UTC", day_or: true }],
  ["has no time zone", { cron: "0 0 * * *", timezone: "Nowhere/Land", day_or: true }],
  ["has an anchor beyond the calendar", { interval: 60, anchor_date: "275760-09-14T00:00:00Z", timezone: "UTC" }],
  ["has an anchor before the calendar", { interval: 60, anchor_date: "0000-01-01T00:00:00Z", timezone: "UTC" }],
  ["has an interval of nothing", { interval: 0, anchor_date: "2026-01-01T00:00:00Z", timezone: "UTC" }],
  ["has an interval of 1e300", { interval: 1e300, anchor_date: "2026-01-01T00:00:00Z", timezone: "UTC" }],
  ["has no fields", {}],
];
const TEXTS: readonly (readonly [string, string])[] = [
  ["is cut off", '{"cron":'],
  ["is a number", "7"],
  ["nests 1,100 levels deep", `${'{"a":'.repeat(1100)}1${"}".repeat(1100)}`],
];

const CASES = [...SCHEDULES.map(([name, schedule]) => [name, JSON.stringify(schedule)] as const), ...TEXTS];

test.for(CASES)("the runs of other schedules are created although one schedule %s", async ([, text]) => {
  const flow_id = await aFlow();
  const schedules = [{ schedule: { cron: "*/10 * * * *", timezone: "UTC" } }];
  const made = async () => (await aDeployment({ flow_id, schedules })).id;
  const [bad, healthy] = [await made(), await made()];
  const both: Question[] = [bad, healthy].flatMap((id): Question[] => [
    { method: "GET", path: `/deployments/${id}`, shows: [id] },
    { method: "GET", path: `/deployments/${id}/schedules`, shows: [] },
    { method: "GET", path: `/deployments/${id}/versions`, shows: [] },
  ]);
  const place = { table: "deployment_schedule", column: "schedule", id: bad, key: "deployment_id" };
  const wrong = await poisoned(place, text, async () => [
    ...(await failingJobs()),
    ...(await ask([{ method: "POST", path: "/deployments/filter", body: {}, shows: [bad, healthy] }, ...both])),
    ...(await ask([
      {
        method: "POST",
        path: "/flow_runs/filter",
        body: { deployments: { id: { any_: [healthy] } } },
        shows: ['"auto_scheduled":true'],
      },
    ])),
  ]);
  expect(wrong).toEqual([]);
  expect((await api("DELETE", `/deployments/${bad}`)).status).toBe(204);
});
