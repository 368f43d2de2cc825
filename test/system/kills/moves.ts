/** The jobs that convert and move data, called all the time, and restores of hours. */
import { setTimeout as sleep } from "node:timers/promises";
import { z } from "zod";
import { wireTime } from "../../../bench/ids.ts";
import type { Ledger } from "./ledger.ts";
import type { PatientClient } from "./patient-client.ts";

const HOUR_SECONDS = 3_600;
const CONVERSIONS = ["pack old events", "pack old logs", "shorten rows"];
/** Restored hours stay in D1 for a day. The jobs are always further ahead, so that the hours move again at once. */
const FIRST_AHEAD = 49 * HOUR_SECONDS;
/**
 * The outbox alone is never far ahead: its mark may not pass a state that is being written. Its usual patience is a minute,
 * here it is half of it. Events move when they are a minute older than its mark, so a client that repeats an event after a
 * kill still finds it in D1.
 */
const OUTBOX_AHEAD = 30;
const PAUSE_MS = 700;
const RESTORE_MS = 10_000;
/** Hours with many events of the old database. */
const OLD_HOURS = ["2026-11-28T08:00:00Z", "2026-11-20T06:00:00Z", "2026-11-20T10:00:00Z"].map((time) =>
  Date.parse(time),
);
/** As much later as the outbox has to look, to reach all states when no state is written any more. */
const LATER = 120;

const Restored = z.object({ events: z.int(), unreadable: z.int() });

/** A round of a job begins an hour after the round before, so each call of a job is two hours later than the one before. */
export class Moves {
  private readonly client: PatientClient;
  private readonly origin: string;
  private readonly ledger: Ledger;
  private ahead = FIRST_AHEAD;

  constructor(client: PatientClient, origin: string, ledger: Ledger) {
    this.client = client;
    this.origin = origin;
    this.ledger = ledger;
  }

  /** Runs all loops until `isOver`. */
  async run(isOver: () => boolean): Promise<void> {
    const loop = async (work: () => Promise<unknown>, pauseMs: number) => {
      for (; !isOver(); await sleep(pauseMs)) await work();
    };
    await Promise.all([
      loop(() => this.job("sweep the outbox", OUTBOX_AHEAD), 5_000),
      // Sometimes two movers work at the same time.
      loop(() => this.job("archive events", this.later()), 3 * PAUSE_MS),
      loop(() => this.job("archive events", this.later()), 5 * PAUSE_MS),
      loop(() => this.job("archive logs", this.later()), PAUSE_MS),
      ...CONVERSIONS.map((name) => loop(() => this.job(name, 0), PAUSE_MS)),
      loop(() => this.restoreAny(), RESTORE_MS),
    ]);
  }

  /** Moves everything that may move, when no client writes any more. */
  async finish(turns: number): Promise<void> {
    for (let turn = 0; turn < turns; turn++) {
      await this.job("sweep the outbox", LATER + turn);
      for (const name of ["archive events", "archive logs"]) await this.job(name, this.later());
      for (const name of CONVERSIONS) await this.job(name, 0);
    }
  }

  /** Removes the objects that a killed mover has left. It must not run beside a move, because the move's own object looks as old. */
  removeLeftovers(): Promise<void> {
    return this.job("remove leftover objects", this.later());
  }

  /** Begins all moves at once. A kill some milliseconds later comes in the middle of them. */
  begin(): Promise<unknown> {
    const jobs = ["archive events", "archive logs"].map((name) => this.job(name, this.later()));
    return Promise.all([...jobs, ...(Math.random() < 0.3 ? [this.restoreAny()] : [])]);
  }

  /** Writes an hour back to D1: this one, the one before, or one of the old database. */
  async restoreAny(): Promise<void> {
    const hours = [Date.now(), Date.now(), Date.now() - 1_000 * HOUR_SECONDS, ...OLD_HOURS];
    const time = hours[Math.floor(Math.random() * hours.length)] ?? Date.now();
    const answer = await this.client.once("/admin/archive/restore", { hour: wireTime(time) });
    if (answer === undefined) return;
    const { events, unreadable } = Restored.parse(answer);
    this.ledger.counts.restoredEvents += events;
    if (unreadable > 0) this.ledger.fault(`${unreadable} bundles could not be read by a restore`);
  }

  private later(): number {
    return (this.ahead += 2 * HOUR_SECONDS);
  }

  /** Calls a job once. A kill may end it anywhere. */
  private async job(name: string, ahead: number): Promise<void> {
    const answer = await this.client.once(`${this.origin}/local/jobs/${encodeURIComponent(name)}?ahead=${ahead}`, {});
    if (answer !== undefined) this.ledger.counts.jobs++;
  }
}
