import { env } from "cloudflare:test";
import { expect, test } from "vitest";
import { emitEvents } from "#events/emit";
import { makeTools } from "#tools";
import { anEvent } from "./world.ts";

test("a request whose events go along with another one's does not wait for that one", async () => {
  const workspace = crypto.randomUUID();
  // The first request is one that is never answered, as if it had been ended in the middle.
  const bodies: string[] = [];
  const stuck = {
    idFromName: env.EVENT_STREAM.idFromName.bind(env.EVENT_STREAM),
    get: () => ({
      fetch: (_url: string, init: { body: string }) => {
        bodies.push(init.body);
        return new Promise(() => {});
      },
    }),
  };
  const first = makeTools({ ...env, EVENT_STREAM: stuck as never }, workspace, () => {});
  const second = makeTools(env, workspace, () => {});
  const [one, other] = [anEvent(), anEvent()];
  void emitEvents(first, [one]);
  const late = new Promise((resolve) => setTimeout(() => resolve("still waiting"), 1000));
  expect(await Promise.race([emitEvents(second, [other]).then(() => "done"), late])).toBe("done");
  await expect.poll(() => bodies.length).toBe(1);
  expect(JSON.parse(bodies[0] ?? "").events.map(({ id }: { id: string }) => id)).toEqual([one.id, other.id]);
});
