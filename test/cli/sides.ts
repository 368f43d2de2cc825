/** The two servers of a comparison, each with the command line that talks to it. */
import { cpSync, mkdirSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { World } from "../system/support/world.ts";
import { CommandLine } from "./command-line.ts";
import { NOTHING } from "./mask.ts";

/** A Python that has the stock client and the original server. */
const python = resolve(process.env["SLUICE_PYTHON"] ?? ".venv/bin/python");

/** The original's background work is quick, so that both servers have done theirs when a command looks. */
const ORIGINAL_SETTINGS = {
  PREFECT_SERVER_SERVICES_SCHEDULER_RECENT_DEPLOYMENTS_LOOP_SECONDS: "1",
  PREFECT_SERVER_SERVICES_EVENT_PERSISTER_FLUSH_INTERVAL: "1",
  PREFECT_SERVER_LOGS_STREAM_OUT_ENABLED: "true",
  PREFECT_SERVER_LOGS_STREAM_PUBLISHING_ENABLED: "true",
};

/** A wide terminal without colours: no line is broken at a place that depends on ids. Nothing is reported to Prefect. */
const TERMINAL = { COLUMNS: "1000", NO_COLOR: "1", TERM: "dumb", PYTHONUNBUFFERED: "1", DO_NOT_TRACK: "1" };

/** One server, with its command line. */
export interface Side {
  apiUrl: string;
  /** An original beside this server, from which and to which `prefect transfer` moves things. */
  spareUrl: string;
  commandLine: CommandLine;
  /** The folder in which commands run. It has the files of test/cli/project. */
  folder: string;
  /** Texts of this side that outputs may have, each with its placeholder. */
  places: [string, string][];
  /** What is not compared, because it depends on how busy this server is. */
  noise: RegExp;
}

/** The original loses events of a client that ends while its database is busy. */
const NOISE_OF_ORIGINAL = /^.*Service 'EventsWorker' failed with \d+ pending items\.\n/gm;

type OnEnd = (end: () => unknown) => void;

/**
 * Starts the original and Sluice, and waits until both answer. With `hasSpares` each gets an original beside it. Otherwise
 * the servers stand in for these.
 */
export async function startBoth(onEnd: OnEnd, hasSpares: boolean) {
  const ends: (() => unknown)[] = [];
  const endSpares = async () => {
    for (const end of ends.splice(0)) await end();
  };
  onEnd(endSpares);
  const onEndOfSpare: OnEnd = (end) => ends.push(end);
  const [reference, target] = await Promise.all([startOriginal(onEnd), startSluice(onEnd)]);
  const spares = hasSpares ? [await startOriginal(onEndOfSpare), await startOriginal(onEndOfSpare)] : [];
  return {
    reference: { ...sideOf(reference, spares[0] ?? reference, onEnd), noise: NOISE_OF_ORIGINAL },
    target: { ...sideOf(target, spares[1] ?? target, onEnd), noise: NOTHING },
    endSpares,
  };
}

/** Starts the original on a new data folder. */
export async function startOriginal(onEnd: OnEnd): Promise<World> {
  const world = await World.of({ after: onEnd });
  await world.startOriginal(ORIGINAL_SETTINGS);
  return world;
}

/** Starts Sluice on a new data folder. */
export async function startSluice(onEnd: OnEnd): Promise<World> {
  const world = await World.of({ after: onEnd });
  await world.startSluice();
  return world;
}

function sideOf({ apiUrl, folder: world }: World, spare: World, onEnd: OnEnd): Omit<Side, "noise"> {
  const home = join(world, "home");
  const folder = join(world, "project");
  mkdirSync(home);
  cpSync(join(import.meta.dirname, "project"), folder, { recursive: true });
  const profiles = Object.entries({ here: apiUrl, spare: spare.apiUrl, nowhere: "http://127.0.0.1:9/api" });
  const text = profiles.map(([name, url]) => `[profiles.${name}]\nPREFECT_API_URL = "${url}"\n`);
  writeFileSync(join(home, "profiles.toml"), `active = "here"\n\n${text.join("\n")}`);
  const commandLine = new CommandLine(python, {
    ...TERMINAL,
    PATH: process.env["PATH"] ?? "",
    HOME: world,
    PREFECT_HOME: home,
  });
  onEnd(() => commandLine.end());
  const places = [apiUrl, spare.apiUrl].flatMap((url, index): [string, string][] => {
    const { origin, host } = new URL(url);
    const name = index === 0 ? "here" : "spare";
    return [
      [origin, `<${name}>`],
      [host, `<host of ${name}>`],
    ];
  });
  return { apiUrl, spareUrl: spare.apiUrl, commandLine, folder, places: [...places, [world, "<folder>"]] };
}
