import { env } from "cloudflare:test";
import { expect, test } from "vitest";
import { DEFAULT_WORKSPACE } from "#env";
import { emitEvents, writeEvents } from "#events/emit";
import { makeTools } from "#tools";
import { anEvent } from "./world.ts";
import { storedEvents } from "../support/segments";

test("a request does not wait for another request that sends its events", async () => {
  const workspace = crypto.randomUUID();
  // The first request gets no answer, like a request that the runtime ends too early.
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

test("an event that the database refuses becomes a dead letter, and the other events of the write are written", async () => {
  const [before, after] = [anEvent(), anEvent()];
  const bad = anEvent({ event: "test.refused" });
  await env.DB.prepare(
    `create trigger refusal before insert on event_segment when instr(new.counts, 'test.refused')
     begin select raise(abort, 'refused by the database'); end`,
  ).run();
  const writing = writeEvents(
    makeTools(env, DEFAULT_WORKSPACE, () => {}),
    [before, bad, after],
  );
  await expect(writing).rejects.toMatchObject({ status: 503, ids: [bad.id] });
  const sent = [before.id, bad.id, after.id];
  const written = (await storedEvents()).map(({ id }) => id).filter((id) => sent.includes(id));
  expect(written.toSorted()).toEqual([before.id, after.id].toSorted());
  const letter = await env.DB.prepare("select queue, reason, message ->> 'id' as id from dead_letter where key = ?")
    .bind(bad.id)
    .first();
  expect(letter).toEqual({
    queue: "events",
    reason: expect.stringContaining("refused by the database"),
    id: bad.id,
  });
});
