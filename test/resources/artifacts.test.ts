import { env } from "cloudflare:test";
import { describe, expect, test } from "vitest";
import { costOf, TELL_COST } from "../support/cost";
import { storedEvents } from "../support/segments";
import { aFlowRun, api, type FlowRun, sendText, unique } from "../support/world";

export interface Artifact {
  id: string;
  created: string;
  updated: string;
  key: string | null;
  type: string | null;
  description: string | null;
  data: unknown;
  metadata_: Record<string, string> | null;
  flow_run_id: string | null;
  task_run_id: string | null;
}
type Collection = Artifact & { latest_id: string };

async function anArtifact(fields: Record<string, unknown> = {}): Promise<Artifact> {
  const { status, body } = await api<Artifact>("POST", "/artifacts/", fields);
  if (status !== 201) throw new Error(JSON.stringify(body));
  return body;
}

const read = async (id: string) => (await api<Artifact>("GET", `/artifacts/${id}`)).body;
const latest = (key: string) => api<Artifact>("GET", `/artifacts/${key}/latest`);
const collectionOf = async (key: string): Promise<Collection | undefined> =>
  (await api<Collection[]>("POST", "/artifacts/latest/filter", { artifacts: { key: { any_: [key] } } })).body[0];
const MISSING = { detail: "Artifact not found." };

describe("an artifact", () => {
  test.for([
    ['{"a":1.0,"big":1152921504606846977,"deep":[[],{"":null}]}'],
    ["1.50"],
    ['"# text\\n\\u0000 é 🙂"'],
    ["null"],
    ["[]"],
    ["false"],
    ['{"__proto__":1}'],
  ])("has its data exactly as sent: %s", async ([data]) => {
    const made = await sendText("POST", "/artifacts/", `{"type":"table","data":${data}}`);
    expect(made.status).toBe(201);
    const { id } = JSON.parse(made.text) as Artifact;
    const again = await sendText("GET", `/artifacts/${id}`);
    expect(again.text).toBe(made.text);
    expect(again.text).toContain(`"data":${data}`);
  });

  test("has up to 1.9 MB, and more gets a clear refusal", async () => {
    const data = "é".repeat(940_000);
    const made = await anArtifact({ data, key: unique("large") });
    expect((await read(made.id)).data).toBe(data);
    expect((await latest(made.key ?? "")).body.data).toBe(data);
    const listed = await api<Artifact[]>("POST", "/artifacts/filter", { artifacts: { id: { any_: [made.id] } } });
    expect(listed.body).toEqual([made]);
    const refused = await api("POST", "/artifacts/", { data: `${data}${data}` });
    expect([refused.status, refused.body]).toEqual([
      413,
      { detail: "The artifact has 3760002 bytes. It may have 1900000." },
    ]);
    const change = await api("PATCH", `/artifacts/${made.id}`, { description: "d".repeat(30_000) });
    expect(change.status).toBe(413);
    expect((await api("PATCH", `/artifacts/${made.id}`, { description: "d", data: 1 })).status).toBe(204);
    expect(await read(made.id)).toMatchObject({ description: "d", data: 1 });
  });

  test("has long texts of its metadata cut, by characters", async () => {
    const { metadata_ } = await anArtifact({ metadata_: { a: "🙂".repeat(501), b: "x".repeat(500) } });
    expect(metadata_).toEqual({ a: `${"🙂".repeat(500)}...`, b: "x".repeat(500) });
  });

  test("changes only in the given fields, and later than before", async () => {
    const made = await anArtifact({ data: 1, description: "one", metadata_: { a: "b" } });
    expect((await api("PATCH", `/artifacts/${made.id}`, { data: null })).status).toBe(204);
    const changed = await read(made.id);
    expect(changed).toEqual({ ...made, data: null, updated: changed.updated });
    expect(changed.updated > made.updated).toBe(true);
    expect((await api("PATCH", `/artifacts/${made.id}`, {})).status).toBe(204);
    expect((await api("PATCH", `/artifacts/${made.id}`, { key: "k" })).status).toBe(422);
  });

  test("that does not exist is not found", async () => {
    const path = `/artifacts/${crypto.randomUUID()}`;
    for (const [method, body] of [["GET"], ["PATCH", { data: 1 }], ["DELETE"]] as const) {
      const answer = await api(method, path, body);
      expect([answer.status, answer.body]).toEqual([404, MISSING]);
    }
  });

  test("of a task run and a key writes five rows, in one round trip", async () => {
    const key = unique("cost");
    const fields = { key, data: "x", type: "markdown", flow_run_id: crypto.randomUUID() };
    const first = await api("POST", "/artifacts/", { ...fields, task_run_id: crypto.randomUUID() }, TELL_COST);
    const next = await api("POST", "/artifacts/", { ...fields, task_run_id: crypto.randomUUID() }, TELL_COST);
    expect([costOf(first.headers, "rows_written"), costOf(next.headers, "rows_written")]).toEqual([6, 5]);
    expect(costOf(next.headers, "round_trips")).toBe(1);
  });

  test("that changes has entries in the indexes of the changed artifacts, and no others have", async () => {
    const bare = await api<Artifact>("POST", "/artifacts/", { data: 1 }, TELL_COST);
    const own = await anArtifact({ key: unique("cost") });
    const written = [costOf(bare.headers, "rows_written")];
    for (const id of [bare.body.id, own.id, own.id]) {
      const changed = await api("PATCH", `/artifacts/${id}`, { data: 2 }, TELL_COST);
      written.push(costOf(changed.headers, "rows_written"));
    }
    expect(written).toEqual([2, 2, 3, 3]);
  });
});

describe("the collection of a key", () => {
  test("shows the newest artifact, and has its own id and time of creation", async () => {
    const key = unique("report");
    const [one, two] = [await anArtifact({ key, data: "one" }), await anArtifact({ key, data: "two", type: "x" })];
    const collection = await collectionOf(key);
    expect(collection).toEqual({
      ...two,
      id: collection?.id,
      created: one.created,
      updated: two.updated,
      latest_id: two.id,
    });
    const { latest_id: _, ...shown } = collection ?? {};
    expect((await latest(key)).body).toEqual(shown);
    expect([one.id, two.id]).not.toContain(collection?.id);
  });

  test("shows changes of its newest artifact", async () => {
    const key = unique("report");
    await anArtifact({ key });
    const { id } = await anArtifact({ key, data: 1 });
    await api("PATCH", `/artifacts/${id}`, { data: 2, description: "d" });
    expect(await collectionOf(key)).toMatchObject({ data: 2, description: "d", updated: (await read(id)).updated });
  });

  test("shows the artifact before a deleted one, and ends with its last artifact", async () => {
    const key = unique("report");
    const [one, two, three] = [await anArtifact({ key }), await anArtifact({ key }), await anArtifact({ key })];
    const { id } = (await collectionOf(key)) ?? { id: "" };
    await api("DELETE", `/artifacts/${two.id}`);
    expect(await collectionOf(key)).toMatchObject({ id, latest_id: three.id, created: one.created });
    await api("DELETE", `/artifacts/${three.id}`);
    expect(await collectionOf(key)).toMatchObject({ id, latest_id: one.id, created: one.created });
    await api("DELETE", `/artifacts/${one.id}`);
    expect(await collectionOf(key)).toBeUndefined();
    expect((await latest(key)).status).toBe(404);
  });

  test("has events for its creation, its newer artifacts and its deletion, and none for other changes", async () => {
    const key = unique("report");
    const run = await aFlowRun();
    const task = crypto.randomUUID();
    const one = await anArtifact({ key, data: 1, type: "t" });
    const two = await anArtifact({ key, data: { x: 2 }, description: "d", flow_run_id: run.id, task_run_id: task });
    const { id } = (await collectionOf(key)) ?? { id: "" };
    await api("PATCH", `/artifacts/${two.id}`, { data: 3 });
    await api("DELETE", `/artifacts/${two.id}`);
    await api("DELETE", `/artifacts/${one.id}`);
    await expect.poll(async () => (await storedEvents(id)).length).toBe(4);
    const events = (await storedEvents(id)).toSorted((a, b) => (a.id < b.id ? -1 : 1));
    const about = { "prefect.resource.id": `prefect.artifact-collection.${id}`, "prefect.resource.name": key };
    const the = (artifact: Artifact) => ({
      "prefect.resource.id": `prefect.artifact.${artifact.id}`,
      "prefect.resource.role": "latest",
    });
    expect(events.map(({ event, resource, related, payload }) => ({ event, resource, related, payload }))).toEqual([
      {
        event: "prefect.artifact-collection.created",
        resource: about,
        related: [the(one)],
        payload: { key, type: "t", data: 1, description: null },
      },
      {
        event: "prefect.artifact-collection.updated",
        resource: about,
        related: [
          the(two),
          { "prefect.resource.id": `prefect.flow-run.${run.id}`, "prefect.resource.role": "flow-run" },
          { "prefect.resource.id": `prefect.task-run.${task}`, "prefect.resource.role": "task-run" },
        ],
        payload: { key, type: null, data: { x: 2 }, description: "d" },
      },
      {
        event: "prefect.artifact-collection.updated",
        resource: about,
        related: [the(one)],
        payload: { key, type: "t", data: 1, description: null },
      },
      {
        event: "prefect.artifact-collection.deleted",
        resource: about,
        related: [the(one)],
        payload: { key, type: "t", data: 1, description: null },
      },
    ]);
  });

  test("has one row after many concurrent creations, and shows one of the artifacts", async () => {
    const key = unique("race");
    const made = await Promise.all(Array.from({ length: 12 }, (_, data) => anArtifact({ key, data })));
    const newest = made
      .map(({ id }) => id)
      .toSorted()
      .at(-1);
    expect((await collectionOf(key))?.latest_id).toBe(newest);
    const count = await api("POST", "/artifacts/latest/count", { artifacts: { key: { any_: [key] } } });
    expect(count.body).toBe(1);
  });
});

describe("artifacts of a run", () => {
  const aTask = async (run: FlowRun) =>
    (
      await api<{ id: string }>("POST", "/task_runs/", {
        flow_run_id: run.id,
        task_key: "t",
        dynamic_key: crypto.randomUUID(),
        state: { type: "RUNNING" },
      })
    ).body.id;
  interface Graph {
    artifacts: Record<string, unknown>[];
    nodes: [string, { artifacts: Record<string, unknown>[] }][];
  }
  const graphOf = async (run: FlowRun) => (await api<Graph>("GET", `/flow_runs/${run.id}/graph-v2`)).body;

  test("are in its graph, at the run or at their task runs, without results", async () => {
    const run = await aFlowRun({ state: { type: "RUNNING" } });
    const task = await aTask(run);
    const key = unique("report");
    const old = await anArtifact({ key, type: "markdown", data: "old", flow_run_id: run.id });
    const progress = await anArtifact({ type: "progress", data: 62.5, flow_run_id: run.id, task_run_id: task });
    const report = await anArtifact({ key, type: "markdown", data: "new", flow_run_id: run.id, task_run_id: task });
    await anArtifact({ type: "result", flow_run_id: run.id });
    await anArtifact({ flow_run_id: run.id });
    await anArtifact({ type: "markdown", task_run_id: task });
    const shown = ({ id, created, key, type }: Artifact, is_latest: boolean, data: unknown = null) => ({
      id,
      created,
      key,
      type,
      is_latest,
      data,
    });
    const graph = await graphOf(run);
    expect(graph.artifacts).toEqual([shown(old, false)]);
    expect(graph.nodes.map(([, node]) => node.artifacts)).toEqual([[shown(progress, true, 62.5), shown(report, true)]]);
  });

  test("are in its graph without data that is too long for a progress, because a graph has ten thousand", async () => {
    const run = await aFlowRun({ state: { type: "RUNNING" } });
    await anArtifact({ type: "progress", data: "x".repeat(300), flow_run_id: run.id });
    expect((await graphOf(run)).artifacts.map(({ data }) => data)).toEqual([null]);
  });

  test("are deleted with the run, and the collections show the artifacts of other runs", async () => {
    const [run, other] = [await aFlowRun(), await aFlowRun()];
    const [shared, own] = [unique("shared"), unique("own")];
    const kept = await anArtifact({ key: shared, flow_run_id: other.id });
    const loose = await anArtifact({ key: own });
    const gone = [
      await anArtifact({ key: shared, flow_run_id: run.id }),
      await anArtifact({ key: shared, flow_run_id: run.id }),
      await anArtifact({ key: unique("alone"), flow_run_id: run.id }),
      await anArtifact({ flow_run_id: run.id }),
    ];
    expect((await api("DELETE", `/flow_runs/${run.id}`)).status).toBe(204);
    for (const { id } of gone) expect((await api("GET", `/artifacts/${id}`)).status).toBe(404);
    expect((await collectionOf(shared))?.latest_id).toBe(kept.id);
    expect((await collectionOf(own))?.latest_id).toBe(loose.id);
    expect((await latest(gone[2]?.key ?? "")).status).toBe(404);
  });

  test("are deleted with their task run", async () => {
    const run = await aFlowRun();
    const task = await aTask(run);
    const key = unique("report");
    const before = await anArtifact({ key, flow_run_id: run.id });
    const { id } = await anArtifact({ key, flow_run_id: run.id, task_run_id: task });
    expect((await api("DELETE", `/task_runs/${task}`)).status).toBe(204);
    expect((await api("GET", `/artifacts/${id}`)).status).toBe(404);
    expect((await collectionOf(key))?.latest_id).toBe(before.id);
  });

  test("are deleted a thousand at a time", async () => {
    const run = await aFlowRun();
    await env.DB.prepare(
      `with recursive n(i) as (select 1 union all select i + 1 from n where i < 2500)
      insert into artifact (workspace_id, id, created, updated, flow_run_id)
      select x'01', unhex(format('%032x', i)), 1, 1, unhex(?, '-') from n`,
    )
      .bind(run.id)
      .run();
    const answer = await api("DELETE", `/flow_runs/${run.id}`);
    expect(answer.status).toBe(204);
    const left = await env.DB.prepare("select count(*) as n from artifact where flow_run_id = unhex(?, '-')")
      .bind(run.id)
      .first("n");
    expect(left).toBe(0);
  });
});
