/** Sends events to `/events/in` as fast as the sockets take them, and waits until the server shows all events. */
import { setTimeout as sleep } from "node:timers/promises";

import { openEventSocket } from "./event-socket.ts";
import { call, openHttpClient } from "./http-client.ts";
import { uuid4, uuid7, wireTime } from "./ids.ts";
import type { Target } from "./target.ts";

export interface EventsLoad {
  events: number;
  sockets: number;
}

export interface EventsResult {
  /** Seconds until the sockets had closed. At that time the server has read everything. */
  sentSeconds: number;
  /** Seconds until a count of the events returned all of them. */
  readableSeconds: number;
}

/** How many events are about one resource, like the events of a run. */
const EVENTS_PER_RESOURCE = 50;
const LONGEST_WAIT_MS = 60_000;
/** After this many events the sender waits for the socket, so that the sender's own buffer does not fill up. */
const BURST = 100;

/** Sends events with a new name over several sockets at once, and counts the events until all are stored. */
export async function measureEventsIn(target: Target, load: EventsLoad): Promise<EventsResult> {
  const name = `sluice-bench.event.${uuid4()}`;
  const counts = { socketOpens: 0, socketMessages: 0 };
  const sockets = await Promise.all(
    Array.from({ length: load.sockets }, () => openEventSocket(target, "/events/in", counts)),
  );
  const http = openHttpClient(target, { connections: 1 });
  const started = performance.now();
  await Promise.all(
    sockets.map(async (socket, lane) => {
      const share = Math.floor(load.events / load.sockets) + (lane < load.events % load.sockets ? 1 : 0);
      for (let sent = 0; sent < share; sent += 1) {
        socket.send(event(name, `sluice-bench.${lane}.${Math.floor(sent / EVENTS_PER_RESOURCE)}`));
        if (sent % BURST === BURST - 1) await sleep(0);
      }
      await socket.close();
    }),
  );
  const sentSeconds = (performance.now() - started) / 1000;
  const filter = { event: { name: [name] }, occurred: { since: wireTime(Date.now() - 3_600_000) } };
  for (let total = 0; total < load.events;) {
    if (performance.now() - started > LONGEST_WAIT_MS) throw new Error(`only ${total} of ${load.events} are readable`);
    const reply = await call(http, "POST", "/events/filter", { filter, limit: 1 });
    const { total: found }: { total: number } = JSON.parse(reply.text);
    total = found;
    if (total < load.events) await sleep(20);
  }
  const readableSeconds = (performance.now() - started) / 1000;
  http.close();
  return { sentSeconds, readableSeconds };
}

function event(name: string, resource: string): unknown {
  return {
    occurred: wireTime(),
    event: name,
    resource: { "prefect.resource.id": resource, "prefect.resource.name": "a thing with a name" },
    related: [{ "prefect.resource.id": `prefect.flow.${resource}`, "prefect.resource.role": "flow" }],
    payload: { text: "about as much as an event of a run carries".repeat(5) },
    id: uuid7(),
    follows: null,
  };
}
