/** The cases of the worker channel: the frames that are sent to this server and to the original. */

/** A server, as the script needs it. */
export interface ChannelServer {
  rest(method: string, path: string, body?: unknown): Promise<number>;
  open(path: string, protocols: string[]): Promise<ChannelSocket | number>;
}

/** A socket that keeps the frames that it gets. */
export interface ChannelSocket {
  readonly frames: unknown[];
  readonly closed: { code: number; reason: string } | null;
  send(text: string | Uint8Array<ArrayBuffer>): void;
  close(): void;
}

/** `frames`: waits until so many frames have arrived since the last wait. `quiet`: waits, and expects no frame. */
type Step =
  | { send: unknown }
  | { text: string }
  | { bytes: string }
  | { rest: [method: string, path: string, body?: unknown] }
  | { frames: number }
  | { quiet: number }
  | { closed: true };

interface Case {
  name: string;
  protocols?: string[];
  /** The HTTP requests before the socket is opened. `POOL` is replaced by the name of the case's pool. */
  before?: [method: string, path: string, body?: unknown][];
  steps: Step[];
}

const AUTH: Step[] = [{ send: { type: "auth", token: null } }, { frames: 1 }];
const CONSUMER = "11111111-1111-4111-8111-111111111111";
const OTHER = "22222222-2222-4222-8222-222222222222";
const CAPABILITIES = ["worker_heartbeat.v1", "work_pool_snapshot.v1"];
const CLEANUP = {
  requested_capabilities: [...CAPABILITIES, "cleanup_delivery.v1"],
  handled_cleanup_kinds: ["cancelling_timeout_teardown.v1"],
};
const TEMPLATE = {
  job_configuration: { command: "{{ command }}" },
  variables: { type: "object", properties: { command: { type: "string", default: "a" } } },
};
const BAD_DEFAULT = {
  job_configuration: { command: "{{ command }}" },
  variables: { type: "object", properties: { command: { type: "string", default: 7 } } },
};

const frame = (type: string, payload: unknown, fields: object = {}) => ({
  type,
  id: "01980000-0000-7000-8000-000000000001",
  sent_at: "2026-11-21T10:00:00.5Z",
  payload,
  ...fields,
});
/** A worker's hello. A field that is undefined is left out. */
export const hello = (fields: object = {}, around: object = {}) =>
  frame(
    "worker.hello.v1",
    {
      consumer_id: CONSUMER,
      worker_name: "w",
      worker_type: "process",
      heartbeat_interval_seconds: 30,
      supported_channel_versions: ["work_pool_worker_channel.v1"],
      requested_capabilities: CAPABILITIES,
      ...fields,
    },
    around,
  );
const heartbeat = (fields: object = {}) =>
  frame("worker.heartbeat.v1", {
    consumer_id: CONSUMER,
    worker_name: "w",
    heartbeat_interval_seconds: 30,
    ...fields,
  });
const operation = (what: string, fields: object = {}) =>
  frame(`cleanup.${what}.v1`, { message_id: OTHER, reservation_token: "t", ...fields });

const POOL: Case["before"] = [["POST", "/work_pools/", { name: "POOL", type: "process" }]];
const greeted = (fields: object = {}): Step[] => [...AUTH, { send: hello(fields) }, { frames: 1 }];
const refused = (message: unknown): Step[] => [...AUTH, { send: message }, { closed: true }];

/** Hellos that are refused, by the name of the case. */
const WRONG_HELLOS: Record<string, unknown> = {
  "a hello without its required capabilities": hello({ requested_capabilities: ["worker_heartbeat.v1"] }),
  "a hello with an unknown field": hello({ colour: 1 }),
  "a hello with an unknown field around it": hello({}, { colour: 1 }),
  "a hello without an id": hello({}, { id: undefined }),
  "a hello at no time": hello({}, { sent_at: "soon" }),
  "a hello of nobody": hello({ worker_name: "" }),
  "a hello with no interval": hello({ heartbeat_interval_seconds: 0 }),
  "a hello that has no versions": hello({ supported_channel_versions: [] }),
  "a hello of another version": hello({ supported_channel_versions: ["work_pool_worker_channel.v2"] }),
  "a hello that handles kinds it does not ask for": hello({
    handled_cleanup_kinds: ["cancelling_timeout_teardown.v1"],
  }),
  "a hello of an unknown kind": hello({ ...CLEANUP, handled_cleanup_kinds: ["sweeping.v1"] }),
  "a hello with capacity it does not ask for": hello({ max_cleanup_concurrency: 1 }),
  "a hello with a negative capacity": hello({ ...CLEANUP, max_cleanup_concurrency: -1 }),
  "a hello for a queue that is not there": hello({ work_queue_names: ["default", "nowhere"] }),
  "a hello whose defaults do not fit": hello({ default_base_job_template: BAD_DEFAULT }),
  "a hello whose template is incomplete": hello({ default_base_job_template: { job_configuration: {} } }),
  "a heartbeat instead of a hello": heartbeat(),
  "a list instead of a hello": [],
  "a ready frame instead of a hello": frame("worker.ready.v1", {}),
};

/** Frames that close an open channel. */
const WRONG_FRAMES: Record<string, unknown> = {
  "a heartbeat of another consumer": heartbeat({ consumer_id: OTHER }),
  "a heartbeat of another worker": heartbeat({ worker_name: "x" }),
  "a heartbeat without an interval": heartbeat({ heartbeat_interval_seconds: undefined }),
  "a second hello": hello(),
  "an acknowledgement without a token": operation("ack", { reservation_token: "" }),
  "a release without a reason": operation("release"),
  "a frame of no known type": frame("worker.goodbye.v1", {}),
  "a number": 7,
};

export const CASES: Case[] = [
  { name: "without the subprotocol", protocols: [], before: POOL, steps: [] },
  { name: "hello before auth", before: POOL, steps: [{ send: hello() }, { closed: true }] },
  {
    name: "auth with any token where none is wanted",
    before: POOL,
    steps: [{ send: { type: "auth", token: "x" } }, { frames: 1 }],
  },
  { name: "a plain hello", before: POOL, steps: greeted() },
  {
    name: "a hello spelt loosely",
    before: POOL,
    steps: greeted({
      consumer_id: CONSUMER.replaceAll("-", "").toUpperCase(),
      heartbeat_interval_seconds: "15",
      create_pool_if_not_found: "no",
      worker_metadata: { integrations: [] },
      requested_capabilities: [...CAPABILITIES, "telepathy.v1", "telepathy.v1"],
    }),
  },
  { name: "a hello for clean-up", before: POOL, steps: greeted(CLEANUP) },
  { name: "a hello for more clean-up", before: POOL, steps: greeted({ ...CLEANUP, max_cleanup_concurrency: 5 }) },
  {
    name: "a hello for clean-up without capacity",
    before: POOL,
    steps: greeted({ ...CLEANUP, max_cleanup_concurrency: 0 }),
  },
  { name: "a hello for clean-up of nothing", before: POOL, steps: greeted({ ...CLEANUP, handled_cleanup_kinds: [] }) },
  {
    name: "a hello for some queues",
    before: [
      ["POST", "/work_pools/", { name: "POOL", type: "process", concurrency_limit: 3, description: "d" }],
      ["POST", "/work_pools/POOL/queues", { name: "slow", priority: 9 }],
      ["POST", "/work_pools/POOL/queues", { name: "fast", priority: 2 }],
    ],
    steps: greeted({ work_queue_names: ["slow", "default", "slow"] }),
  },
  {
    name: "a hello for all queues",
    before: [
      ["POST", "/work_pools/", { name: "POOL", type: "process" }],
      ["POST", "/work_pools/POOL/queues", { name: "slow", priority: 9 }],
      ["POST", "/work_pools/POOL/queues", { name: "fast", priority: 2 }],
    ],
    steps: greeted(),
  },
  { name: "no such pool", steps: refused(hello()) },
  {
    name: "a pool made by its worker",
    steps: greeted({ create_pool_if_not_found: true, default_base_job_template: TEMPLATE }),
  },
  {
    name: "a pool that cannot be made of what the worker says",
    steps: refused(hello({ create_pool_if_not_found: true, default_base_job_template: { a: 1 } })),
  },
  {
    name: "a pool that cannot be made for its defaults",
    steps: refused(hello({ create_pool_if_not_found: true, default_base_job_template: BAD_DEFAULT })),
  },
  {
    name: "a pool that is told its template, and heard of by who was there",
    before: POOL,
    steps: [...greeted({ default_base_job_template: TEMPLATE }), { quiet: 400 }, { send: heartbeat() }, { quiet: 300 }],
  },
  {
    name: "a pool that has a template keeps it",
    before: [["POST", "/work_pools/", { name: "POOL", type: "process", base_job_template: TEMPLATE }]],
    steps: greeted({ default_base_job_template: { ...TEMPLATE, job_configuration: { command: "b" } } }),
  },
  {
    name: "a paused pool",
    before: [["POST", "/work_pools/", { name: "POOL", type: "process", is_paused: true }]],
    steps: greeted(),
  },
  { name: "a pool of agents", before: [["POST", "/work_pools/", { name: "POOL" }]], steps: greeted() },
  {
    name: "heartbeats",
    before: POOL,
    steps: [
      ...greeted(),
      { send: heartbeat() },
      { send: heartbeat({ heartbeat_interval_seconds: 5 }) },
      { quiet: 300 },
    ],
  },
  {
    name: "a pool that changes",
    before: POOL,
    steps: [
      ...greeted(),
      { rest: ["PATCH", "/work_pools/POOL", { concurrency_limit: 4 }] },
      { frames: 1 },
      { rest: ["PATCH", "/work_pools/POOL", { is_paused: true }] },
      { frames: 1 },
      { rest: ["PATCH", "/work_pools/POOL", { base_job_template: TEMPLATE }] },
      { frames: 1 },
      { rest: ["PATCH", "/work_pools/POOL", { description: "new" }] },
      { quiet: 400 },
      { send: heartbeat() },
      { frames: 1 },
      { send: heartbeat() },
      { quiet: 300 },
    ],
  },
  {
    name: "a pool that is deleted",
    before: POOL,
    steps: [...greeted(), { rest: ["DELETE", "/work_pools/POOL"] }, { closed: true }],
  },
  {
    name: "operations without clean-up",
    before: POOL,
    steps: [
      ...greeted(),
      { send: operation("ack") },
      { frames: 1 },
      { send: operation("release", { reason: "r" }) },
      { frames: 1 },
      { send: operation("renew") },
      { frames: 1 },
    ],
  },
  {
    name: "operations on no message",
    before: POOL,
    steps: [
      ...greeted(CLEANUP),
      { send: operation("ack") },
      { frames: 1 },
      { send: operation("release", { reason: "r" }) },
      { frames: 1 },
      { send: operation("renew") },
      { frames: 1 },
    ],
  },
  { name: "text that is no JSON before auth", before: POOL, steps: [{ text: "{" }, { closed: true }] },
  { name: "text that is no JSON as a hello", before: POOL, steps: [...AUTH, { text: "{" }, { closed: true }] },
  { name: "text that is no JSON later", before: POOL, steps: [...greeted(), { text: "{" }, { closed: true }] },
  { name: "bytes as a hello", before: POOL, steps: [...AUTH, { bytes: JSON.stringify(hello()) }, { closed: true }] },
  {
    name: "bytes later",
    before: POOL,
    steps: [...greeted(), { bytes: JSON.stringify(heartbeat()) }, { closed: true }],
  },
  ...Object.entries(WRONG_HELLOS).map(([name, message]) => ({ name, before: POOL, steps: refused(message) })),
  ...Object.entries(WRONG_FRAMES).map(([name, message]): Case => ({
    name,
    before: POOL,
    steps: [...greeted(), { send: message }, { closed: true }],
  })),
];

const WAIT_MS = 4_000;
const LOOK_MS = 10;

/** Runs a case and gives the frames, with placeholders for ids, times and tokens. */
export async function playCase(
  server: ChannelServer,
  { name, protocols, before = [], steps }: Case,
): Promise<unknown[]> {
  const pool = `channel-${crypto.randomUUID().slice(0, 8)}`;
  const named = (path: string) => path.replace("POOL", pool);
  const rest = (method: string, path: string, body?: unknown) =>
    server.rest(method, named(path), body === undefined ? undefined : JSON.parse(named(JSON.stringify(body))));
  const seen: unknown[] = [];
  for (const request of before) await rest(...request);
  const socket = await server.open(`/work_pools/${pool}/workers/connect`, protocols ?? ["prefect"]);
  if (typeof socket === "number") return [{ refused: socket }];
  let shown = 0;
  const show = (count: number) => seen.push(...socket.frames.slice(shown, (shown += count)));
  for (const step of steps) {
    if ("send" in step) socket.send(JSON.stringify(step.send));
    else if ("text" in step) socket.send(step.text);
    else if ("bytes" in step) socket.send(Uint8Array.from(new TextEncoder().encode(step.bytes)));
    else if ("rest" in step) seen.push({ status: await rest(...step.rest) });
    else if ("quiet" in step) {
      await new Promise((resolve) => setTimeout(resolve, step.quiet));
      show(socket.frames.length - shown);
    } else if ("closed" in step) {
      await until(name, () => socket.closed !== null);
      seen.push({ closed: socket.closed });
    } else {
      const wanted = shown + step.frames;
      await until(name, () => socket.frames.length >= wanted || socket.closed !== null);
      show(step.frames);
      if (socket.closed) seen.push({ closed: socket.closed });
    }
  }
  show(socket.frames.length - shown);
  socket.close();
  return withNames(seen, pool);
}

async function until(name: string, isSo: () => boolean): Promise<void> {
  const end = Date.now() + WAIT_MS;
  while (!isSo()) {
    if (Date.now() > end) throw new Error(`${name}: nothing came`);
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
  }
}

/** The placeholders of one case. Ids are numbered in order. Times and tokens are not numbered. */
function withNames(seen: unknown[], pool: string): unknown[] {
  const ids = new Map<string, string>();
  const text = JSON.stringify(seen)
    .replaceAll(pool, "POOL")
    .replaceAll(/"(?!1{8}|2{8})[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}"/g, (id) => {
      if (!ids.has(id)) ids.set(id, `"id ${ids.size + 1}"`);
      return ids.get(id) ?? id;
    })
    .replaceAll(/"20\d\d-\d\d-\d\dT[^"]*"/g, '"time"');
  return JSON.parse(text);
}
