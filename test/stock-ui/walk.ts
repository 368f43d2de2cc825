/** Opens all addresses of the UI, and finds what is wrong on each. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { type WatchedPage } from "./browser.ts";
import { type Exception, unexplained } from "./exceptions.ts";
import { type Address, addressesOf, deadAddressesOf, type Filled } from "./pages.ts";

const MINUTE = 60_000;

/** What a step of the walk came to: an address, or a dialog. */
export interface Outcome {
  name: string;
  /** What has no exception. */
  faults: string[];
  seconds: number;
}

/** Does a step, and gives its outcome. */
export async function outcomeOf(
  name: string,
  page: WatchedPage,
  used: Set<Exception>,
  step: () => Promise<void>,
): Promise<Outcome> {
  const begun = Date.now();
  const faults: string[] = [];
  const note = (error: unknown) => void faults.push(error instanceof Error ? error.message : String(error));
  await step().catch(note);
  faults.push(...(await page.takeFaults()));
  return { name, faults: unexplained(name, faults, used), seconds: (Date.now() - begun) / 1000 };
}

/** Opens each address. */
export async function* walk(
  page: WatchedPage,
  filled: Filled,
  used: Set<Exception>,
  isWanted: (path: string) => boolean,
): AsyncGenerator<Outcome> {
  const begun = Date.now();
  for (const address of [...addressesOf(filled), ...deadAddressesOf(filled)]) {
    if (!isWanted(address.path)) continue;
    if (address.isByMinute) await nextMinute(begun);
    yield await outcomeOf(address.path, page, used, () => look(page, address));
  }
}

/** Waits until the minute is over in which the walk has begun. */
async function nextMinute(begun: number): Promise<void> {
  const over = (Math.floor(begun / MINUTE) + 1) * MINUTE;
  if (Date.now() < over) await sleep(over - Date.now());
}

async function look(page: WatchedPage, { path, shows, isNextTab }: Address): Promise<void> {
  await (isNextTab === true ? page.turnTo(path) : page.visit(path));
  await page.sees(shows);
  await page.settle();
}

/** The routes of the UI that no address has. */
export function routesWithoutAddress(folder: string, filled: Filled): string[] {
  const paths = addressesOf(filled).map(({ path }) => path.replace(/\?.*/, ""));
  const missing = routesOf(folder).filter((route) => {
    const pattern = new RegExp(`^${route.replaceAll(/\$\w+/g, "[^/]+").replace(/(?<=.)\/$/, "")}$`);
    return !paths.some((path) => pattern.test(path));
  });
  return missing.map((route) => `${route}: the UI has this route, and pages.ts has no address of it`);
}

/** The routes as the UI's code names them: `/runs/flow-run/$id`. */
function routesOf(folder: string): string[] {
  const assets = join(folder, "assets");
  const files = readdirSync(assets).filter((name) => /^index-.*\.js$/.test(name));
  const code = files.map((name) => readFileSync(join(assets, name), "utf8")).join("\n");
  const routes = new Set([...code.matchAll(/\bpath:`(\/[^`]*)`/g)].flatMap(([, route]) => route ?? []));
  if (routes.size < 30) throw new Error(`Only ${routes.size} routes are found in ${assets}`);
  return [...routes].sort();
}
