/** A profile of the Worker's thread during a measurement, by V8's profiler through workerd's inspector. */
import { writeFileSync } from "node:fs";

/** The profile that V8 writes: a tree of calls, and the node of each sample. Times are in microseconds. */
interface CpuProfile {
  nodes: { id: number; callFrame: { functionName: string; url: string; lineNumber: number } }[];
  samples: number[];
  timeDeltas: number[];
}

/** A message of the inspector. */
interface Answer {
  result?: unknown;
  error?: { message: string };
}

/** How many functions the table lists. */
const LISTED = 40;
const SAMPLE_EVERY_US = 200;

/**
 * Runs `work` under the profiler of a server that was started with `npm start -- --inspect PORT`. Writes the profile to
 * `file`, for Chrome's developer tools. Returns a table of the functions with the most time.
 */
export async function profileWhile(port: number, file: string, work: () => Promise<void>): Promise<string> {
  const inspector = await connect(port);
  try {
    await inspector.send("Profiler.enable");
    await inspector.send("Profiler.setSamplingInterval", { interval: SAMPLE_EVERY_US });
    await inspector.send("Profiler.start");
    await work();
    const { profile } = (await inspector.send("Profiler.stop")) as { profile: CpuProfile };
    writeFileSync(file, JSON.stringify(profile));
    return selfTimes(profile);
  } finally {
    inspector.close();
  }
}

async function connect(port: number) {
  const listed = (await (await fetch(`http://127.0.0.1:${port}/json`)).json()) as { webSocketDebuggerUrl: string }[];
  const url = listed[0]?.webSocketDebuggerUrl;
  if (url === undefined) throw new Error(`nothing is to be inspected on port ${port}`);
  const socket = new WebSocket(url);
  await new Promise((resolve, reject) => {
    socket.addEventListener("open", resolve);
    socket.addEventListener("error", () => reject(new Error(`no inspector answers at ${url}`)));
  });
  const waiting = new Map<number, (answer: Answer) => void>();
  socket.addEventListener("message", ({ data }) => {
    const { id, ...answer } = JSON.parse(String(data)) as Answer & { id?: number };
    if (id !== undefined) waiting.get(id)?.(answer);
  });
  let lastId = 0;
  return {
    send(method: string, params: object = {}): Promise<unknown> {
      const id = ++lastId;
      return new Promise((resolve, reject) => {
        waiting.set(id, ({ result, error }) => (error ? reject(new Error(error.message)) : resolve(result)));
        socket.send(JSON.stringify({ id, method, params }));
      });
    },
    close: () => socket.close(),
  };
}

/** The functions by their own time, without the time of the functions that they called. */
function selfTimes({ nodes, samples, timeDeltas }: CpuProfile): string {
  const names = new Map(
    nodes.map(({ id, callFrame: { functionName, lineNumber } }) => [
      id,
      `${functionName || "(anonymous)"} :${lineNumber + 1}`,
    ]),
  );
  const times = new Map<string, number>();
  let total = 0;
  for (const [index, id] of samples.entries()) {
    const name = names.get(id) ?? "";
    const time = timeDeltas[index] ?? 0;
    if (name.startsWith("(idle)")) continue;
    times.set(name, (times.get(name) ?? 0) + time);
    total += time;
  }
  const sorted = [...times].sort(([, one], [, other]) => other - one).slice(0, LISTED);
  const lines = sorted.map(([name, time]) => `${((100 * time) / total).toFixed(1).padStart(5)} %  ${name}`);
  return [`${(total / 1000).toFixed(0)} ms of work`, ...lines].join("\n");
}
