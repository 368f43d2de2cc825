import { test } from "vitest";
import type { z } from "zod";
import { matchesWorker, WorkerFilter } from "#filters/workers";
import { at } from "./world";

const online = { status: "ONLINE", last_heartbeat_time: 10_000_000 } as const;
const unheard = { status: "OFFLINE", last_heartbeat_time: null } as const;

const CASES: [filter: z.input<typeof WorkerFilter>, online: boolean, unheard: boolean][] = [
  [{}, true, true],
  [{ status: null, last_heartbeat_time: null }, true, true],
  [{ status: {} }, true, true],
  [{ status: { any_: ["ONLINE"] } }, true, false],
  [{ status: { any_: [] } }, false, false],
  [{ status: { not_any_: ["ONLINE"] } }, false, true],
  [{ status: { not_any_: [] } }, true, true],
  [{ last_heartbeat_time: {} }, true, true],
  [{ last_heartbeat_time: { before_: at(10) } }, true, false],
  [{ last_heartbeat_time: { before_: at(9) } }, false, false],
  [{ last_heartbeat_time: { after_: at(10) } }, true, false],
  [{ last_heartbeat_time: { after_: at(11) } }, false, false],
  [{ last_heartbeat_time: { after_: at(10) }, status: { any_: ["OFFLINE"] } }, false, false],
  [{ operator: "or_", last_heartbeat_time: { after_: at(10) }, status: { any_: ["OFFLINE"] } }, true, true],
];

test.for(CASES)(
  "%j: matches an online worker: %s, a worker without a heartbeat: %s",
  ([input, first, second], { expect }) => {
    const filter = WorkerFilter.parse(input);
    expect([matchesWorker(filter, online), matchesWorker(filter, unheard)]).toEqual([first, second]);
  },
);
