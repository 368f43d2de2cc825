/**
 * Runs every command of the stock command line on the original and on Sluice, and compares exit codes and outputs:
 * `npm run test:cli [-- --only GROUPS] [--verbose] [--processes]`. It needs `SLUICE_PYTHON`, a Python with Prefect.
 * With `--processes` each command is a new process, which is slower. Otherwise runner.py forks.
 * Fails if a command has no call, if a call differs without a reason, or if docs/compatibility.md had another result.
 */
import { parseArgs } from "node:util";
import { compare, type Compared, unusedReasons } from "./compare.ts";
import { writeResult } from "./document.ts";
import { GROUPS, OUTSIDE } from "./groups.ts";
import { playGroup } from "./play.ts";
import { startBoth } from "./sides.ts";

const { values } = parseArgs({
  options: {
    only: { type: "string" },
    verbose: { type: "boolean", default: false },
    processes: { type: "boolean", default: false },
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
  const { reference, target } = await startBoth((end) => ends.push(end), {
    hasSpares: values.only === undefined || values.only.includes("transfer"),
    isByProcess: values.processes,
  });
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
    console.error(`${group.name}: ${one.length} steps at ${Math.round((Date.now() - begun) / 1000)} s`);
  }
  if (values.only === undefined) {
    for (const command of commands) {
      const isOutside = Object.keys(OUTSIDE).some((name) => `${command} `.startsWith(`${name} `));
      if (isOutside || compared.some((call) => call.command === command)) continue;
      faults.push(`prefect ${command} has no call in test/cli/groups`);
    }
  }
  return compared;
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
