import { env } from "cloudflare:test";
import { expect, test } from "vitest";
import { sweepOutbox } from "#services/walk-states";
import { earliestId, systemIds } from "#lib/clock";
import { tools } from "../support/tools";
import { aFlowRun, api, propose, WORKSPACE } from "../support/world";
import { storedEvents } from "../support/segments.ts";

const ids = systemIds();

/** A run with so many states in its row, without pages of states. Gives the ids of the states, oldest first. */
async function aRunWith(count: number): Promise<{ id: string; stateIds: string[] }> {
  const { id, state_id } = await aFlowRun({ state: { type: "RUNNING" } });
  const before = Date.now() * 1000 - count * 1_000 - 3_600_000_000;
  const stateIds = Array.from({ length: count - 1 }, (_, index) => ids.ordered(before + index * 1_000));
  for (let first = 0; first < stateIds.length; first += 10_000) {
    await env.DB.prepare(
      `insert into flow_run_state (id, workspace_id, flow_run_id, type, name, timestamp, state_details)
       select value, ?, ?, 'RUNNING', 'Running', ? + key, '{}' from json_each(?)`,
    )
      .bind(WORKSPACE, id, before + first, JSON.stringify(stateIds.slice(first, first + 10_000)))
      .run();
  }
  stateIds.push(state_id);
  await env.DB.prepare("update flow_run set state_ids = ?, updated = updated + 1 where id = ?")
    .bind(JSON.stringify(stateIds), id)
    .run();
  return { id, stateIds };
}

const statesOf = async (id: string): Promise<string[]> =>
  (await api<{ id: string }[]>("GET", `/flow_run_states/?flow_run_id=${id}`)).body.map((state) => state.id);

const idsInRow = (id: string) =>
  env.DB.prepare("select json_array_length(state_ids) as n from flow_run where id = ?").bind(id).first<number>("n");

const leftOf = async (id: string) => [
  await env.DB.prepare("select count(*) as n from flow_run_state where flow_run_id = ?").bind(id).first("n"),
  await env.DB.prepare("select count(*) as n from flow_run_state_page where flow_run_id = ?").bind(id).first("n"),
];

test("a run with more states than its row can list gets new states, lists all states, and is deleted with them", async () => {
  const { id, stateIds } = await aRunWith(50_000);
  const added: string[] = [];
  for (const type of ["PAUSED", "RUNNING", "COMPLETED"]) {
    const answer = await propose(id, { type }, true);
    expect(answer.status).toBe("ACCEPT");
    added.push(answer.state?.id ?? "");
  }
  expect(await idsInRow(id)).toBeLessThanOrEqual(1_000);
  expect(await statesOf(id)).toEqual([...stateIds, ...added]);
  expect(await leftOf(id)).toEqual([50_003, 10]);
  expect((await api("DELETE", `/flow_runs/${id}`)).status).toBe(204);
  expect(await leftOf(id)).toEqual([0, 0]);
});

test("the row of a run with many states stays small", async () => {
  const { id, stateIds } = await aRunWith(990);
  for (let index = 0; index < 40; index++) {
    const answer = await propose(id, { type: index % 2 ? "RUNNING" : "PAUSED" }, true);
    stateIds.push(answer.state?.id ?? "");
  }
  expect(await statesOf(id)).toEqual(stateIds);
  expect(await idsInRow(id)).toBe(530);
  const graph = await api<{ states: unknown[] }>("GET", `/flow_runs/${id}/graph-v2`);
  expect(graph.body.states).toHaveLength(1_030);
});

test("the event of a state in a page of states names the state before it", async () => {
  const { id, stateIds } = await aRunWith(1_200);
  await propose(id, { type: "PAUSED" }, true);
  await env.DB.prepare("delete from event_segment").run();
  await env.DB.prepare("update flow_run set auto_scheduled = 1 where id = ?").bind(id).run();
  const [page, row] = [stateIds.indexOf(stateIds[300] ?? ""), stateIds.length - 500];
  for (const index of [0, page, row, row + 1]) {
    const stateId = stateIds[index] ?? "";
    await env.DB.prepare("delete from sweep_mark").run();
    await env.DB.prepare("insert into sweep_mark values ('outbox', ?)")
      .bind(index === 0 ? earliestId(Date.now() * 1000 - 7_200_000_000) : stateIds[index - 1])
      .run();
    const only = {
      ...tools(),
      clock: () => Number.parseInt(stateId.replaceAll("-", "").slice(0, 12), 16) * 1000 + 60_001_000,
    };
    await sweepOutbox(only);
    const sent = (await storedEvents(stateId)).filter(({ id }) => id === stateId).map(({ follows }) => follows);
    expect(sent).toEqual(index === 0 ? [] : [stateIds[index - 1]]);
  }
});
