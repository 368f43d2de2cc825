/** Hostile messages over the sockets that receive events from clients, and over the sockets that send events. */
import { setTimeout as sleep } from "node:timers/promises";
import { expand } from "./hostile.ts";
import type { Finding } from "./oracle.ts";
import type { Scene } from "./run.ts";

const MESSAGES = 6;
const PATIENCE_MS = 20_000;

/** Messages that are neither a valid event nor a valid filter. */
const GARBAGE = ["", "{", "null", "[]", '{"type":"auth"}', "\u0000", "«deep:100000»", '{"type":1e400}'];

/** Sends hostile messages over both kinds of sockets. A valid event that is sent afterwards must be found. */
export async function playSockets(url: string, scene: Scene, headers: Record<string, string>): Promise<Finding[]> {
  const events = texts(scene, "Event").map((text) => expand(scene.world.named(text)));
  const filters = texts(scene, "EventFilter").map(
    (text) => `{"type":"filter","filter":${expand(scene.world.named(text))}}`,
  );
  for (const text of events) await say(url, "/events/in", [text]);
  for (const text of filters) await say(url, "/events/out", [text]);
  await say(url, "/logs/out", filters.slice(0, 2));
  const id = crypto.randomUUID();
  const healthy = {
    id,
    occurred: new Date().toISOString(),
    event: "sluice.fuzz",
    resource: { "prefect.resource.id": "sluice.fuzz" },
  };
  await say(url, "/events/in", [JSON.stringify(healthy)]);
  if (await isFound(url, id, headers)) return [];
  return [
    {
      kind: "check",
      operation: "/events/in",
      request: `/events/in after ${texts(scene, "Event").join("\n")}`,
      answer: "a healthy event is not found",
    },
  ];
}

function texts({ requests, seed }: Scene, name: string): string[] {
  const made = requests.values(name, seed, MESSAGES);
  return [...made, GARBAGE[seed % GARBAGE.length] ?? ""];
}

/**
 * Opens a socket, authenticates, sends the messages, and closes the socket. The server may close the socket earlier.
 */
async function say(url: string, path: string, messages: readonly string[]): Promise<void> {
  const socket = new WebSocket(url.replace("http", "ws") + path, "prefect");
  const closed = new Promise<void>((resolve) => {
    socket.addEventListener("close", () => resolve());
    socket.addEventListener("error", () => resolve());
  });
  const open = new Promise<void>((resolve) => {
    socket.addEventListener("message", () => resolve(), { once: true });
  });
  socket.addEventListener("open", () => socket.send('{"type":"auth","token":null}'));
  const timeout = sleep(PATIENCE_MS, undefined, { ref: false });
  await Promise.race([open, closed, timeout]);
  if (socket.readyState === WebSocket.OPEN) for (const message of messages) socket.send(message);
  // A pause instead of a wait for an answer, because a listener with an invalid filter may get no answer.
  await Promise.race([closed, sleep(50)]);
  socket.close();
  await Promise.race([closed, timeout]);
}

async function isFound(url: string, id: string, headers: Record<string, string>): Promise<boolean> {
  const filter = {
    filter: { id: { id: [id] }, occurred: { since: "2020-01-01T00:00:00Z", until: "9000-01-01T00:00:00Z" } },
  };
  for (const end = Date.now() + PATIENCE_MS; Date.now() < end; await sleep(50)) {
    const response = await fetch(`${url}/events/filter`, {
      method: "POST",
      headers: { "content-type": "application/json", ...headers },
      body: JSON.stringify(filter),
      signal: AbortSignal.timeout(PATIENCE_MS),
    }).catch(() => undefined);
    if ((await response?.text())?.includes(id)) return true;
  }
  return false;
}
