/** Fills a server with events: users' events, heartbeats, and reports of task runs. */
import { setTimeout as sleep } from "node:timers/promises";
import type { Api } from "../../support/api.ts";
import { openEventSocket } from "../../../../bench/event-socket.ts";
import { BEGIN, EXACT, idAt, MINUTE, nested, range, SECOND, timeAt, turn, UNICODE } from "./made.ts";
import { relatedTo, type Reporting, reportTaskRuns, type SentEvent } from "./task-runs.ts";
import { create, type Things } from "./things.ts";

/** Events gather for 100 ms in one segment. */
const OTHER_SEGMENT_MS = 130;
const NAMES = ["shop.order.created", "shop.order.paid", "shop.stock.low", "prefect-cloud.thing", "ünï.codé"] as const;
const PAYLOADS = [
  {},
  { exact: EXACT, list: [EXACT.one, EXACT.big] },
  { text: UNICODE },
  nested(60),
  { long: "abc ".repeat(700) },
] as const;

/** 400 events of users in nine hours, and some outside of them. */
function usersEvents(): SentEvent[] {
  return range(400).map((index) => {
    const at = BEGIN + index * 81 * SECOND + (index % 50 === 0 ? -30 * 24 * 60 * MINUTE : 0);
    const shop = `shop.${index % 6}`;
    return {
      occurred: timeAt(at, index),
      event: turn(NAMES, index),
      resource: {
        "prefect.resource.id": `${shop}.order.${index % 40}`,
        "shop.size": turn(["S", "M", "L"], index),
        note: UNICODE,
      },
      related: range(index % 4).map((place) => ({
        "prefect.resource.id": `${shop}.customer.${(index + place) % 9}`,
        "prefect.resource.role": turn(["customer", "seller"], place),
        "customer.city": turn(["Köln", "東京", "Graz"], index + place),
      })),
      payload: { index, ...(turn(PAYLOADS, Math.floor(index / 5)) as object) },
      id: idAt(at),
      follows: null,
    };
  });
}

function heartbeats(run: Reporting, count: number): SentEvent[] {
  return range(count).map((index) => {
    const at = BEGIN + index * 3 * MINUTE;
    return {
      occurred: timeAt(at),
      event: "prefect.flow-run.heartbeat",
      resource: {
        "prefect.resource.id": `prefect.flow-run.${run.id}`,
        "prefect.resource.name": run.name,
        "prefect.version": "3.8.8",
      },
      related: relatedTo(run).slice(1),
      payload: {},
      id: idAt(at),
      follows: null,
    };
  });
}

/** Sends users' events by HTTP, and reports and heartbeats of four runs by a socket. */
export async function fillEvents(api: Api, { flows }: Things): Promise<void> {
  const runs: Reporting[] = [];
  const flowId = flows.get("old-reported") ?? "";
  for (const index of range(4)) {
    const name = `reported-${index}`;
    const id = await create(api, "/flow_runs/", { flow_id: flowId, name, state: { type: "PENDING" } });
    await api.ask(`/flow_runs/${id}/set_state`, { state: { type: "RUNNING" } });
    runs.push({ id, name, flowId });
  }
  const reports = runs.flatMap((run, index) => reportTaskRuns(run, 24, index * 90 * MINUTE));
  const withoutRun = reportTaskRuns(null, 6, 50 * MINUTE);
  await post(api, [...usersEvents(), ...withoutRun], 10);
  await sendBySocket(api, [...reports, ...runs.flatMap((run) => heartbeats(run, 12))], 12);
  for (const run of runs.slice(0, 2)) await api.ask(`/flow_runs/${run.id}/set_state`, { state: { type: "COMPLETED" } });
}

/** The number of task runs whose reports wait. */
export const WAITING_TASK_RUNS = 8;

/** Posts reports of a run, which no consumer has read when the server ends at once. */
export async function postWaitingReports(api: Api, { flows }: Things): Promise<void> {
  const flowId = flows.get("old-waiting") ?? "";
  const id = await create(api, "/flow_runs/", { flow_id: flowId, name: "waiting", state: { type: "RUNNING" } });
  await post(api, reportTaskRuns({ id, name: "waiting", flowId }, WAITING_TASK_RUNS, 400 * MINUTE), 100);
}

async function post(api: Api, events: readonly SentEvent[], size: number): Promise<void> {
  for (let first = 0; first < events.length; first += size) {
    await api.ask("/events", events.slice(first, first + size));
    await sleep(OTHER_SEGMENT_MS);
  }
}

async function sendBySocket(api: Api, events: readonly SentEvent[], size: number): Promise<void> {
  const target = { name: "old", apiUrl: api.url, key: undefined };
  const socket = await openEventSocket(target, "/events/in", { socketOpens: 0, socketMessages: 0 });
  for (const [index, event] of events.entries()) {
    socket.send(event);
    if (index % size === size - 1) await sleep(OTHER_SEGMENT_MS);
  }
  await socket.close();
}
