/**
 * Walks the web UI of the stock `prefect` package in front of Sluice: all its pages, then its dialogs. No request may
 * fail, and the stock client must see what a dialog has done.
 *
 *     npm run test:stock-ui -- [--only TEXT] [--original]
 *
 * `--only` takes the addresses and dialogs whose names have the text. `--original` walks the original server: what fails
 * there, too, is no fault of Sluice.
 */
import { resolve } from "node:path";
import { parseArgs } from "node:util";
import { NoBrowser, startChromium, WatchedPage } from "./browser.ts";
import { DIALOGS } from "./dialogs.ts";
import { Scene } from "./dialogs/scene.ts";
import { EXCEPTIONS, type Exception, unexplained } from "./exceptions.ts";
import { startFilled } from "./filled.ts";
import { Reader } from "./reader.ts";
import { folderOfUi, serveUi } from "./serve-ui.ts";
import { checkSockets } from "./sockets.ts";
import { outcomeOf, type Outcome, routesWithoutAddress, walk } from "./walk.ts";

const python = resolve(process.env["SLUICE_PYTHON"] ?? ".venv/bin/python");
const { values } = parseArgs({
  options: { only: { type: "string" }, original: { type: "boolean", default: false } },
});
const isWhole = values.only === undefined && !values.original;
const ends: (() => unknown)[] = [];
const begun = Date.now();
const faults: string[] = [];
let count = 0;

try {
  await run();
} catch (error) {
  if (!(error instanceof NoBrowser)) throw error;
  faults.push(error.message);
} finally {
  for (const end of ends.toReversed()) await end();
}
console.log(`${count} addresses and dialogs, ${faults.length} faults, ${seconds()} s`);
for (const fault of faults) console.error(fault);
process.exit(faults.length === 0 ? 0 : 1);

async function run(): Promise<void> {
  const browser = await startChromium();
  ends.push(() => browser.close());
  const { world, filled } = await startFilled((end) => ends.push(end), { python, isOriginal: values.original });
  console.log(`The server is filled after ${seconds()} s.`);
  const folder = folderOfUi(python);
  const ui = await serveUi(folder, world.apiUrl);
  ends.push(ui.end);
  const reader = new Reader(python, { PREFECT_API_URL: world.apiUrl, PREFECT_HOME: world.folder });
  ends.push(() => reader.end());
  const page = await WatchedPage.open(browser, ui.origin);
  const used = new Set<Exception>();

  faults.push(...unexplained("routes", routesWithoutAddress(folder, filled), used));
  for await (const outcome of walk(page, filled, used, isWanted)) note(outcome);
  const scene = new Scene(page, reader, filled);
  for (const dialogs of DIALOGS) {
    for (const { name, play } of dialogs.filter((dialog) => isWanted(dialog.name))) {
      const outcome = await outcomeOf(name, page, used, () => play(scene));
      note(outcome);
      // What comes after it lacks what it should have made.
      if (outcome.faults.length > 0) break;
    }
  }
  if (isWhole) note(await outcomeOf("sockets", page, used, () => checkSockets(page)));

  faults.push(...ui.broken.map((request) => `${request} (the server broke off)`));
  if (!isWhole) return;
  const unused = EXCEPTIONS.filter((exception) => exception.isChance !== true && !used.has(exception));
  faults.push(...unused.map(({ reason, fault }) => `exceptions.ts: explains nothing: ${fault.source}: ${reason}`));
}

function isWanted(name: string): boolean {
  return values.only === undefined || name.includes(values.only);
}

function seconds(): number {
  return Math.round((Date.now() - begun) / 1000);
}

function note({ name, faults: found, seconds: taken }: Outcome): void {
  count++;
  console.log(`${found.length === 0 ? "ok  " : "FAIL"} ${name} (${taken.toFixed(1)} s)`);
  faults.push(...found.map((fault) => `${name}: ${fault}`));
}
