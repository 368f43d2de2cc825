/** The scheduler during a month, with many deployments and a database that fails. Each run is created once. */
import { createExecutionContext, env, runInDurableObject } from "cloudflare:test";
import fc from "fast-check";
import { expect, test, vi } from "vitest";
import { Database } from "#db/database";
import { noCost } from "#lib/cost";
import { topUpSchedules } from "#services/scheduler";
import { makeTools, type Tools } from "#tools";
import { type Schedule, scheduleMoments } from "#wire/schedule";
import { parseTime, printTime } from "#wire/dates";
import { WORKSPACE } from "../support/world";
import { type Fault, SimulatedD1 } from "./simulated-d1";

const MINUTE = 60_000_000;
const DAYS = 31;
const BEGIN = parseTime("2026-10-05T00:00:00Z") ?? 0;
const END = BEGIN + DAYS * 1440 * MINUTE;
const ZONES = ["UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe", "America/Havana"];

/** A deployment and its schedule. Only an active schedule of an active deployment creates runs. */
interface Plan {
  id: string;
  schedule: Schedule;
  isPaused: boolean;
  isActive: boolean;
}

const zone = fc.constantFrom(...ZONES);
const of = (low: number, high: number) => fc.integer({ min: low, max: high });

const anInterval = fc.record({
  interval: fc.oneof(
    { weight: 1, arbitrary: of(1800, 7200) },
    { weight: 20, arbitrary: of(14_400, 150_000) },
    { weight: 20, arbitrary: fc.constantFrom(86_400, 172_800, 604_800) },
  ),
  anchor_date: fc.integer({ min: -40 * 86_400, max: 10 * 86_400 }).map((at) => printTime(BEGIN + at * 1_000_000)),
  timezone: zone,
});
const aCron = fc.record({
  cron: fc.oneof(
    of(0, 59).map((minute) => `${minute} */4 * * *`),
    fc.tuple(of(0, 59), of(0, 23)).map(([minute, hour]) => `${minute} ${hour} * * *`),
    fc.tuple(of(0, 59), of(0, 3), of(0, 6)).map(([minute, hour, day]) => `${minute} ${hour} * * ${day}`),
    fc.constantFrom("*/20 8 * * *", "0 0 1 * *", "30 1 l * *", "r(0-59) 6 * * *", "0 12 1 1 *"),
  ),
  timezone: zone,
  day_or: fc.constant(true),
});
const aRule = fc.record({
  rrule: fc.constantFrom(
    "DTSTART:20200101T013000\nRRULE:FREQ=DAILY",
    "DTSTART:20260101T000000\nRRULE:FREQ=WEEKLY;BYDAY=MO,TH;BYHOUR=2,14",
    "DTSTART:20260101T000000\nRRULE:FREQ=HOURLY;INTERVAL=13",
    "DTSTART:20261001T000000\nRRULE:FREQ=DAILY;COUNT=20",
    "DTSTART:20260101T000000\nRRULE:FREQ=MONTHLY;BYMONTHDAY=-1",
  ),
  timezone: zone,
});
const aPlan = fc.record({
  id: fc.uuid({ version: 4 }),
  schedule: fc.oneof(anInterval, aCron, aRule),
  isPaused: of(1, 20).map((place) => place === 1),
  isActive: of(1, 20).map((place) => place > 1),
});

/** Random numbers, the same in each test. */
function dice(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

/**
 * The turns. Some are left out, some for most of an hour. Some run twice, and some run concurrently with the turn
 * before.
 */
function* turns(random: () => number): Generator<number[]> {
  for (let at = BEGIN; at < END; at += MINUTE) {
    if (random() < 0.001) at += Math.floor(random() * 50) * MINUTE;
    const kind = random();
    if (kind < 0.1) continue;
    if (kind < 0.15) yield [at, at];
    else if (kind < 0.2) yield [at, at - MINUTE];
    else yield [at];
  }
}

function insert(d1: SimulatedD1, plans: readonly Plan[]): Promise<unknown> {
  const flow = d1
    .prepare(
      "insert into flow (workspace_id, id, created, updated, name, tags, labels) values (?, 'f', ?, ?, 'f', '[]', '{}')",
    )
    .bind(WORKSPACE, BEGIN, BEGIN);
  return d1.batch([
    flow,
    ...plans.flatMap(({ id, schedule, isPaused, isActive }) => [
      d1
        .prepare(
          `insert into deployment (workspace_id, id, created, updated, name, flow_id, paused, status, job_variables, parameters,
            enforce_parameter_schema, tags, labels) values (?1, ?2, ?3, ?3, ?2, 'f', ?4, 'READY', '{}', '{}', 1, '[]', '{}')`,
        )
        .bind(WORKSPACE, id, BEGIN, isPaused ? 1 : 0),
      d1
        .prepare(
          `insert into deployment_schedule (workspace_id, deployment_id, id, created, updated, schedule, active, parameters,
            scheduled_until, top_up_at) values (?1, ?2, ?2, ?3, ?3, ?4, ?5, '{}', ?3, ?6)`,
        )
        .bind(WORKSPACE, id, BEGIN, JSON.stringify(schedule), isActive ? 1 : 0, isActive && !isPaused ? BEGIN : null),
    ]),
  ]);
}

function expectedOf({ id, schedule, isActive, isPaused }: Plan): number[] {
  if (!isActive || isPaused) return [];
  const dates: number[] = [];
  for (const moment of scheduleMoments(schedule, BEGIN + 1, { seed: id })) {
    if (moment >= END) break;
    dates.push(moment);
  }
  return [...new Set(dates)];
}

async function live(tools: Tools, random: () => number): Promise<number> {
  let failed = 0;
  let now = BEGIN;
  for (const ats of turns(random)) {
    const work = ats.map((at) => {
      now = Math.max(now, at);
      const clock = () => Math.max(at, now++);
      return topUpSchedules({ ...tools, clock });
    });
    for (const { status } of await Promise.allSettled(work)) if (status === "rejected") failed++;
  }
  return failed;
}

test("a month of skipped, doubled and concurrent turns and of failed calls creates each run once, and no other run", async () => {
  const plans = fc.sample(aPlan, { numRuns: 200, seed: 20261005 });
  const random = dice(7);
  let isFaulty = false;
  const fault = (): Fault => (!isFaulty || random() > 0.04 ? "none" : random() < 0.5 ? "before" : "after");
  const log = vi.spyOn(console, "error").mockImplementation(() => undefined);
  await runInDurableObject(env.TASK_QUEUE.get(env.TASK_QUEUE.idFromName("a month")), async (_, state) => {
    const d1 = new SimulatedD1(state.storage, fault);
    await insert(d1, plans);
    isFaulty = true;
    const context = createExecutionContext();
    const tools = makeTools(env, WORKSPACE, (work) => context.waitUntil(work));
    await live({ ...tools, db: new Database(d1, noCost()) }, random);
    expect(d1.faults).toBeGreaterThan(100);
    const made = d1.rows<{ deployment_id: string; at: number; count: number }>(
      `select deployment_id, expected_start_time as at, count(*) as count from flow_run group by 1, 2 order by 1, 2`,
    );
    expect(made.filter(({ count }) => count !== 1)).toEqual([]);
    const starts = Map.groupBy(made, ({ deployment_id }) => deployment_id);
    let total = 0;
    for (const plan of plans) {
      const dates = (starts.get(plan.id) ?? []).map(({ at }) => at).filter((at) => at < END);
      const expected = expectedOf(plan);
      total += expected.length;
      expect
        .soft(dates.map(printTime), JSON.stringify(plan))
        .toEqual(expected.toSorted((a, b) => a - b).map(printTime));
    }
    expect(total).toBeGreaterThan(5000);
    // A run has one state, though calls failed.
    expect(d1.rows("select count(*) as count from flow_run_state")).toEqual(
      d1.rows("select count(*) as count from flow_run"),
    );
  });
  log.mockRestore();
}, 300_000);
