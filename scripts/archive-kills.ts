/**
 * Kills a server with SIGKILL at random moments, under load over HTTP and WebSockets, while old rows are converted and
 * data moves to the archive and back. Then everything that was accepted must be there once (docs/reliability.md).
 * `node scripts/archive-kills.ts --minutes 10 --kills 30`. Exits with 1 if anything is lost, doubled or changed.
 */
import { parseArgs } from "node:util";
import { killUnderMoves } from "../test/system/kills/scene.ts";

const { values } = parseArgs({
  options: {
    minutes: { type: "string", default: "5" },
    /** How many kills there are at least. */
    kills: { type: "string", default: "20" },
  },
});
const outcome = await killUnderMoves({ minutes: Number(values.minutes), kills: Number(values.kills) }, (line) =>
  console.error(`${new Date().toISOString()} ${line}`),
);
console.log(JSON.stringify(outcome, null, 2));
process.exitCode = outcome.faults.length > 0 ? 1 : 0;
