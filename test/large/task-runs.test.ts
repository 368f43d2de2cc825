/** Pages of task runs with long values: a page is complete, and no round trip reads more than one portion. */
import { beforeAll, expect, test } from "vitest";
import { aFlowRun, api } from "../support/world";
import { MOST_READ, readLarge, text } from "./support";

const AGES = { estimated_run_time: expect.anything(), estimated_start_time_delta: expect.anything() };
const RUNS = 5;

let flowRun = "";
let ids: string[] = [];
beforeAll(async () => {
  flowRun = (await aFlowRun({ state: { type: "COMPLETED" } })).id;
  for (let index = 0; index < RUNS; index++) {
    const { body } = await api<{ id: string }>("POST", "/task_runs/", {
      flow_run_id: flowRun,
      task_key: "t",
      dynamic_key: String(index),
      state: { type: "RUNNING", data: index === 2 ? { small: 1 } : { long: text(700_000) } },
    });
    ids.push(body.id);
  }
  ids = ids.toSorted();
});

const each = (of: readonly string[]) =>
  Promise.all(of.map(async (id) => ({ ...(await api("GET", `/task_runs/${id}`)).body, ...AGES })));

test("a list", async () => {
  const list = await readLarge("POST", "/task_runs/filter", {
    flow_runs: { id: { any_: [flowRun] } },
    sort: "ID_DESC",
  });
  expect(list.body).toEqual(await each(ids.toReversed()));
  expect(list.largest).toBeLessThan(MOST_READ);
});

test("a page", async () => {
  const body = { flow_runs: { id: { any_: [flowRun] } }, sort: "ID_DESC", limit: 4, page: 1 };
  const page = await readLarge("POST", "/task_runs/paginate", body);
  const results = await each(ids.toReversed().slice(0, 4));
  expect(page.body).toEqual({ results, count: RUNS, limit: 4, pages: 2, page: 1 });
  expect(page.largest).toBeLessThan(MOST_READ);
});
