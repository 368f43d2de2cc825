/** The WebSockets of the API, and the tests that check each of them. */
export interface CheckedSocket {
  /** What clients use the socket for. */
  use: string;
  /** Paths of tests, from the folder of the project. */
  checks: readonly string[];
}

const EVERY = ["test/objects/handshake.test.ts", "test/http/cross-site.test.ts"];
const STREAM = ["test/objects/event-stream/sockets.test.ts", "test/fuzz/fuzz.test.ts", ...EVERY];

export const SOCKETS: Readonly<Record<string, CheckedSocket>> = {
  "/events/in": {
    use: "clients send events, also the reports of task runs",
    checks: ["test/resources/events.test.ts", ...STREAM],
  },
  "/events/out": {
    use: "clients receive the events of a filter",
    checks: ["test/objects/event-stream/backlog.test.ts", ...STREAM],
  },
  "/logs/out": {
    use: "clients receive the logs of a filter",
    checks: ["test/objects/event-stream/backlog.test.ts", ...STREAM],
  },
  "/task_runs/subscriptions/scheduled": {
    use: "task workers receive background tasks",
    checks: ["test/resources/background-tasks.test.ts", "test/system/background-tasks.system.ts", ...EVERY],
  },
  "/work_pools/{work_pool_name}/workers/connect": {
    use: "workers keep their channel to a pool; compared with recorded answers of the original",
    checks: ["test/objects/work-pool/channel/script.test.ts", ...EVERY],
  },
};
