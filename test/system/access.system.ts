/** Credentials, and the address on which Sluice listens. */
import assert from "node:assert/strict";
import { connect } from "node:net";
import { describe, test } from "node:test";
import { z } from "zod";
import { Api, tally } from "./support/api.ts";
import { eventually, World } from "./support/world.ts";

const SOCKETS = ["/events/in", "/events/out", "/logs/out"];
const NOT_ALLOWED = 1008;

/** A setting that requires credentials, and how a client sends the credentials. */
interface Lock {
  what: string;
  server: Record<string, string>;
  client: Record<string, string>;
  wrong: Record<string, string>;
  header: string;
  token: string;
  /** Whether the sockets of the stock client send the credentials. */
  clientSocketsGetIn: boolean;
}

const LOCKS: readonly Lock[] = [
  {
    what: "SLUICE_API_KEY",
    server: { SLUICE_API_KEY: "key-of-the-house" },
    client: { PREFECT_API_KEY: "key-of-the-house" },
    wrong: { PREFECT_API_KEY: "key-of-another" },
    header: "Bearer key-of-the-house",
    token: "key-of-the-house",
    // Prefect: outside of Prefect Cloud, the client's sockets send the auth string or no credentials.
    clientSocketsGetIn: false,
  },
  {
    what: "SLUICE_AUTH_STRING",
    server: { SLUICE_AUTH_STRING: "admin:pass word" },
    client: { PREFECT_API_AUTH_STRING: "admin:pass word" },
    wrong: { PREFECT_API_AUTH_STRING: "admin:password" },
    header: `Basic ${btoa("admin:pass word")}`,
    token: "admin:pass word",
    clientSocketsGetIn: true,
  },
];

describe("a Sluice with credentials", () => {
  for (const lock of LOCKS) {
    test(`that are ${lock.what} answers only clients with the credentials`, { timeout: 300_000 }, async (t) => {
      const world = await World.of(t);
      await world.startSluice(lock.server);
      const outside = new Api(world.apiUrl);
      const inside = new Api(world.apiUrl, { authorization: lock.header });
      assert.equal((await outside.send("/health")).status, 200);
      for (const path of ["/admin/version", "/flow_runs/filter", "/nowhere"]) {
        assert.equal((await outside.send(path, path === "/admin/version" ? undefined : {})).status, 401, path);
      }
      assert.equal((await inside.send("/admin/version")).status, 200);

      for (const settings of [{}, lock.wrong]) {
        const refused = world.runFlow("one_task", settings);
        const { code } = await refused.end(120);
        assert.notEqual(code, 0, refused.output);
        assert.match(refused.output, /401/);
        assert.deepEqual(await inside.flowRuns(), []);
      }

      const flow = world.runFlow("one_task", lock.client);
      assert.deepEqual(await flow.end(120), { code: 0, signal: null }, flow.output);
      const flowRunId = await flow.prints(/^flow run (\S+)\n/m, 0);
      assert.equal((await inside.flowRun(flowRunId)).state_type, "COMPLETED");
      assert.ok((await inside.logMessages(flowRunId)).includes("hello world"));

      for (const path of SOCKETS) {
        assert.equal(await greet(world.apiUrl + path, lock.token), "auth_success", path);
        for (const token of [null, "", "another"]) {
          assert.equal(await greet(world.apiUrl + path, token), NOT_ALLOWED, `${path} with ${JSON.stringify(token)}`);
        }
      }

      if (!lock.clientSocketsGetIn) {
        assert.match(flow.output, /Unable to (authenticate|connect)/, "the client says that its events are refused");
        return;
      }
      await eventually(10, async () => {
        const names = (await inside.taskRuns(flowRunId)).map((taskRun) => taskRun.state_name);
        assert.deepEqual(names, ["Completed"]);
      });
      const events = await inside.events({ related: { id: [`prefect.flow-run.${flowRunId}`] } });
      assert.deepEqual(tally(events.map((event) => event.event)), {
        "prefect.task-run.Pending": 1,
        "prefect.task-run.Running": 1,
        "prefect.task-run.Completed": 1,
      });
    });
  }
});

describe("npm start", () => {
  test("reports that its port is used, and does not disturb the other program", { timeout: 180_000 }, async (t) => {
    const world = await World.of(t);
    await world.startSluice();
    const second = world.start(["--data", `${world.folder}/other`]);
    assert.equal((await second.end(60)).code, 1, second.output);
    assert.match(second.output, new RegExp(`^Port ${world.port} on 127\\.0\\.0\\.1 is taken`, "m"));
    assert.doesNotMatch(second.output, /^\s+at /m);
    assert.equal((await new Api(world.apiUrl).send("/health")).status, 200);
  });

  test("refuses to listen for other machines without a key", { timeout: 180_000 }, async (t) => {
    const world = await World.of(t);
    for (const host of ["0.0.0.0", "::"]) {
      const open = world.start(["--host", host]);
      assert.equal((await open.end(60)).code, 1, open.output);
      assert.match(open.output, /SLUICE_API_KEY/);
      assert.equal(await isListening(world.port), false);
    }
  });

  test("listens for other machines with a key", { timeout: 180_000 }, async (t) => {
    const world = await World.of(t);
    const open = world.start(["--host", "0.0.0.0"], { SLUICE_API_KEY: "key-of-the-house" });
    await open.prints(/export PREFECT_API_URL=\S+\n/, 90);
    assert.equal((await new Api(world.apiUrl).send("/admin/version")).status, 401);
    const inside = new Api(world.apiUrl, { authorization: "Bearer key-of-the-house" });
    assert.equal((await inside.send("/admin/version")).status, 200);
  });
});

const Greeting = z.object({ type: z.string() });

/** Authenticates on a socket as the stock client does. Gives the type of the answer, or the code of the close. */
function greet(url: string, token: string | null): Promise<string | number> {
  return new Promise((answer, failed) => {
    const socket = new WebSocket(url.replace(/^http/, "ws"), "prefect");
    const timer = setTimeout(() => failed(new Error(`${url}: no answer in 10 s`)), 10_000);
    const settle = (what: string | number) => {
      clearTimeout(timer);
      answer(what);
      socket.close();
    };
    socket.addEventListener("open", () => socket.send(JSON.stringify({ type: "auth", token })));
    socket.addEventListener("message", (event) => settle(Greeting.parse(JSON.parse(String(event.data))).type));
    socket.addEventListener("close", (event) => settle(event.code));
  });
}

function isListening(port: number): Promise<boolean> {
  return new Promise((answer) => {
    const socket = connect({ host: "127.0.0.1", port });
    socket.once("connect", () => {
      socket.destroy();
      answer(true);
    });
    socket.once("error", () => answer(false));
  });
}
