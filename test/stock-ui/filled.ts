/** A server that has something to show. */
import { join } from "node:path";
import { startOriginal, startSluice } from "../cli/sides.ts";
import { Program } from "../system/support/program.ts";
import type { World } from "../system/support/world.ts";
import type { Filled } from "./pages.ts";

const FILL_SECONDS = 180;

/** Starts a server on a new data folder, and fills it by the stock client (python/fill.py). */
export async function startFilled(
  onEnd: (end: () => unknown) => void,
  { python, isOriginal }: { python: string; isOriginal: boolean },
): Promise<{ world: World; filled: Filled }> {
  const world = await (isOriginal ? startOriginal(onEnd) : startSluice(onEnd));
  const client = { PREFECT_API_URL: world.apiUrl, PREFECT_HOME: join(world.folder, "home") };
  const fill = new Program(python, [join(import.meta.dirname, "python", "fill.py")], {
    ...client,
    DO_NOT_TRACK: "1",
    PYTHONDONTWRITEBYTECODE: "1",
  });
  onEnd(() => fill.kill());
  const { code } = await fill.end(FILL_SECONDS);
  const line = fill.output.split("\n").find((text) => text.startsWith('{"wholeRun"'));
  if (code !== 0 || line === undefined) throw new Error(`fill.py ended with ${code}:\n${fill.output}`);
  return { world, filled: JSON.parse(line) };
}
