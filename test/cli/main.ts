/**
 * Runs every command of the stock command line on the original and on Sluice, and compares exit codes and outputs:
 * `npm run test:cli [-- --only GROUPS] [--verbose]`. It needs `SLUICE_PYTHON`, a Python with Prefect.
 * Fails if a command has no call that ends well or none that ends badly, if a call differs without a reason, or if
 * docs/compatibility.md had another result.
 */
import { parseArgs } from "node:util";
import { isCall } from "./case.ts";
import { commandOf, compare, type Compared, unusedReasons } from "./compare.ts";
import { writeResult } from "./document.ts";
import { GROUPS, NEVER_WELL, OUTSIDE } from "./groups.ts";
import { transfer } from "./groups/transfer.ts";
import { playGroup } from "./play.ts";
import { startBoth } from "./sides.ts";

const { values } = parseArgs({
  options: {
    only: { type: "string" },
    verbose: { type: "boolean", default: false },
  },
});
const ends: (() => unknown)[] = [];
const begun = Date.now();
const faults: string[] = [];

try {
  const compared = await compareAll();
  for (const call of compared) print(call);
  if (values.only === undefined) checkWhole(compared);
  const calls = compared.filter(({ command }) => command !== undefined);
  const differing = calls.filter(({ difference }) => difference !== undefined);
  const seconds = Math.round((Date.now() - begun) / 1000);
  console.log(`${calls.length} calls, ${differing.length} differ, ${faults.length} faults, ${seconds} s`);
} finally {
  for (const end of ends.toReversed()) await end();
}
for (const fault of faults) console.error(fault);
process.exit(faults.length === 0 ? 0 : 1);

async function compareAll(): Promise<Compared[]> {
  const hasSpares = values.only === undefined || values.only.includes(transfer.name);
  const { reference, target, endSpares } = await startBoth((end) => ends.push(end), hasSpares);
  const commands = await reference.commandLine.commands;
  const compared: Compared[] = [];
  for (const group of GROUPS) {
    if (values.only !== undefined && !values.only.split(",").includes(group.name)) continue;
    const [one, other] = await Promise.all([playGroup(group, reference), playGroup(group, target)]);
    compared.push(
      ...one.flatMap((played, index) => {
        const twin = other[index];
        return twin ? [compare({ group: group.name, reference: played, target: twin, commands })] : [];
      }),
    );
    if (group === transfer) await endSpares();
    console.error(`${group.name}: ${one.length} steps at ${Math.round((Date.now() - begun) / 1000)} s`);
  }
  if (values.only === undefined) checkCalls(commands);
  return compared;
}

/** Each command has a call that ends well and one that ends badly. */
function checkCalls(commands: readonly string[]): void {
  const calls = GROUPS.flatMap(({ steps }) => steps.filter(isCall));
  for (const command of commands) {
    if (Object.keys(OUTSIDE).some((name) => `${command} `.startsWith(`${name} `))) continue;
    const own = new Set(calls.filter(({ line }) => commandOf(line, commands) === command).map(({ ends }) => ends));
    if (!own.has("badly")) faults.push(`prefect ${command} has no call in test/cli/groups that ends badly`);
    const isNeverWell = NEVER_WELL[command] !== undefined;
    if (own.has("well") === isNeverWell) {
      faults.push(`prefect ${command} has ${isNeverWell ? "a" : "no"} call in test/cli/groups that ends well`);
    }
  }
}

function print({ line, difference, reason, wrong }: Compared): void {
  if (wrong !== undefined) faults.push(`prefect ${line}: the original ends otherwise than the call expects: ${wrong}`);
  if (difference === undefined) return;
  if (reason === undefined) faults.push(`prefect ${line}: differs without a reason`);
  if (reason !== undefined && !values.verbose) return;
  console.log(`\nprefect ${line}${reason === undefined ? "" : ` (${reason})`}\n${difference}`);
}

function checkWhole(compared: readonly Compared[]): void {
  for (const reason of unusedReasons(compared)) faults.push(`explained.ts: explains nothing: ${reason}`);
  if (writeResult(compared)) faults.push("docs/compatibility.md had another result, and has been written anew");
}
