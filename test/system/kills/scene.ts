/** A server that is killed again and again under load, while rows are converted and data moves to the archive. */
import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import { isAlive } from "../../../scripts/processes.ts";
import { askAll, readAnswers, readRequests } from "../old-database/answers.ts";
import { convert, countOldRows } from "../old-database/conversion.ts";
import { withOrderedTies } from "../old-database/differences.ts";
import { COMMITS, SETTINGS, unpackDatabase } from "../old-database/server.ts";
import { Api } from "../support/api.ts";
import type { Program } from "../support/program.ts";
import { eventually, World } from "../support/world.ts";
import { checkAll, type Checked, checkRecords, compareObjects, nextObject } from "./check.ts";
import { createFlow, writeRuns } from "./http-load.ts";
import { Ledger } from "./ledger.ts";
import { Moves } from "./moves.ts";
import { ageRows } from "./old-forms.ts";
import { PatientClient } from "./patient-client.ts";
import { reportRuns } from "./socket-load.ts";

/** The shortest ages with which data moves, so that each call of a job begins a round. */
const SERVER_SETTINGS = {
  ...SETTINGS,
  SLUICE_ARCHIVE_EVENTS_AFTER_SECONDS: "10800",
  SLUICE_ARCHIVE_LOGS_AFTER_SECONDS: "3600",
};
const HTTP_CLIENTS = 3;
const SOCKET_CLIENTS = 2;
const READ_MS = 500;
const LAST_TURNS = 3;
/** Half of the kills come at most so long after an object of the archive was written. */
const LONGEST_COMMIT_MS = 40;
/** How long the test waits for an object. There may be nothing to move. */
const OBJECT_MS = 3_000;

export interface Length {
  minutes: number;
  /** How many kills there are at least. The load goes on until then. */
  kills: number;
  /** How long the server lives after a start, in seconds: a random time up to this. */
  lifeSeconds?: number;
}

/** What happened. `faults` is empty if nothing is lost, doubled or changed. */
export interface Outcome extends Checked {
  kills: number;
  converted: number;
  bundles: number;
  faults: readonly string[];
  counts: Ledger["counts"];
}

/** Plays the scene in a world of its own. */
export async function killUnderMoves(length: Length, say: (line: string) => void = () => {}): Promise<Outcome> {
  const cleanups: (() => unknown)[] = [];
  const world = await World.of({ after: (cleanup) => void cleanups.push(cleanup as () => unknown) });
  try {
    return await new Scene(world, length, say).play();
  } finally {
    for (const cleanup of cleanups) await cleanup();
  }
}

class Scene {
  private readonly world: World;
  private readonly length: Length;
  private readonly say: (line: string) => void;
  private readonly api: Api;
  private readonly ledger = new Ledger();
  private readonly client: PatientClient;
  private readonly moves: Moves;
  private readonly begun = Date.now();
  private sluice: Program | undefined;
  private isOver = false;
  private kills = 0;
  private converted = 0;

  constructor(world: World, length: Length, say: (line: string) => void) {
    this.world = world;
    this.length = length;
    this.say = say;
    this.api = new Api(world.apiUrl);
    this.client = new PatientClient(this.api, this.ledger);
    this.moves = new Moves(this.client, new URL(world.apiUrl).origin, this.ledger);
  }

  async play(): Promise<Outcome> {
    const [commit] = COMMITS;
    unpackDatabase(commit, this.world.data);
    this.converted = countOldRows(this.world.data);
    await this.start();
    const load = this.load();
    const killing = this.killUntilTheEnd();
    // An error of the load ends the kills too.
    await Promise.all([load, killing]).finally(() => (this.isOver = true));
    await this.finish();
    const checked = await checkAll(this.api, this.ledger, this.begun);
    this.say(`checked ${JSON.stringify(checked)}`);
    await this.compareAnswers(commit);
    const { bundles } = await this.checkObjects();
    const { kills, converted, ledger } = this;
    return { ...checked, kills, converted, bundles, faults: ledger.faults, counts: ledger.counts };
  }

  private async load(): Promise<void> {
    const { client, ledger } = this;
    const flowId = await createFlow(client, "newer");
    const isOver = () => this.isOver;
    const url = this.world.apiUrl;
    await Promise.all([
      ...Array.from({ length: HTTP_CLIENTS }, () => writeRuns(client, ledger, flowId, isOver)),
      ...Array.from({ length: SOCKET_CLIENTS }, () => reportRuns(client, { ledger, url, flowId }, isOver)),
      this.readUntilTheEnd(),
      this.moves.run(isOver),
    ]);
  }

  /** Reads runs whose records are all accepted. They may be moving, and the server may be killed. */
  private async readUntilTheEnd(): Promise<void> {
    for (; !this.isOver; await sleep(READ_MS)) {
      const run = this.ledger.runs[Math.floor(Math.random() * this.ledger.runs.length)];
      if (!run) continue;
      // Without an answer nothing is wrong.
      const wrong = await checkRecords(this.api, run).catch(() => []);
      for (const words of wrong) this.ledger.fault(`after ${this.kills} kills, during the load: ${words}`);
      this.ledger.counts.reads++;
    }
  }

  private async killUntilTheEnd(): Promise<void> {
    const { minutes, kills, lifeSeconds = 15 } = this.length;
    const end = this.begun + minutes * 60_000;
    while (!this.isOver && (Date.now() < end || this.kills < kills)) {
      await sleep(1_000 + Math.random() * lifeSeconds * 1_000);
      if (Math.random() < 0.5) await this.beginMove();
      await this.kill();
      const { runs, faults, counts } = this.ledger;
      this.say(`kill ${this.kills}: ${runs.length} runs, ${faults.length} faults, ${JSON.stringify(counts)}`);
    }
    this.isOver = true;
  }

  /** Begins moves, and waits for the first object: its transaction comes a few milliseconds later. */
  private async beginMove(): Promise<void> {
    const isWritten = nextObject(this.world.data, OBJECT_MS);
    void this.moves.begin();
    await isWritten;
    await sleep(Math.random() * LONGEST_COMMIT_MS);
  }

  /** Kills the server, writes rows in old forms, and starts the server again. */
  private async kill(): Promise<void> {
    const workerd = this.world.workerdPid();
    await this.sluice?.kill();
    await eventually(30, () => assert.ok(!isAlive(workerd), "workerd has outlived the server"));
    this.kills++;
    this.converted += ageRows(this.world.data, this.begun);
    await this.start();
  }

  private async start(): Promise<void> {
    this.sluice = await this.world.startSluice(SERVER_SETTINGS, "node");
  }

  /** Moves and converts all the rest, and is killed once more meanwhile. */
  private async finish(): Promise<void> {
    await Promise.all([this.moves.finish(LAST_TURNS), sleep(Math.random() * 1_000).then(() => this.kill())]);
    await this.moves.finish(LAST_TURNS);
    await convert(new URL(this.world.apiUrl).origin, this.world.data);
    this.say(`${this.converted} rows converted`);
  }

  /** The old data gives the recorded answers. A question about logs without a run reads only D1, so it is left out. */
  private async compareAnswers(commit: (typeof COMMITS)[number]): Promise<void> {
    const requests = readRequests(commit);
    const expected = readAnswers(commit);
    const answers = await askAll(this.api, requests);
    for (const [index, { path, body }] of requests.entries()) {
      const isOfLogs = path === "/logs/filter" && !JSON.stringify(body).includes("flow_run_id");
      const [answer, recorded] = [answers[index], expected[index]].map((one) => withOrderedTies(path, one?.body));
      if (isOfLogs) continue;
      try {
        assert.deepEqual(answer, recorded);
      } catch (error) {
        this.ledger.fault(`another answer to ${JSON.stringify(requests[index])}: ${String(error).slice(0, 1_000)}`);
      }
    }
  }

  /** Each row of the archive has its object, and a sweep removes the objects of killed movers. */
  private async checkObjects(): Promise<{ bundles: number }> {
    const before = compareObjects(this.world.data);
    await this.moves.removeLeftovers();
    const after = compareObjects(this.world.data);
    this.say(`${before.objects} objects of killed movers, ${after.objects} after the sweep, ${after.bundles} bundles`);
    if (before.rows + after.rows > 0) this.ledger.fault(`${before.rows}, ${after.rows} rows without an object`);
    if (after.objects > 0) this.ledger.fault(`${after.objects} objects without a row`);
    return after;
  }
}
