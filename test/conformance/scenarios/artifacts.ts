/** Artifacts, and artifact collections. A collection has the newest artifact of a key. */
import { aFlow, aFlowRun, aTaskRun } from "../builders.ts";
import type { JsonObject } from "../json.ts";
import { pick, type Scenario, type World } from "../play.ts";

export const artifacts: Scenario = { name: "artifacts", play: playArtifacts };

async function playArtifacts(world: World): Promise<void> {
  const flow = await aFlow(world);
  const run = await aFlowRun(world, "run", { flow_id: flow, tags: [world.name("tag")] });
  const task = await aTaskRun(world, "task", { flow_run_id: run });
  const post = "POST /artifacts/";
  const key = world.name("report");
  const first = await world.send("create", post, {
    body: { key, type: "markdown", description: "d", data: "# one", metadata_: { a: "b" }, flow_run_id: run },
  });
  await world.send("create a newer one", post, {
    body: { key, type: "markdown", data: "# two", flow_run_id: run, task_run_id: task },
  });
  const table = await world.send("create a table", post, {
    body: { key: world.name("table"), type: "table", data: [{ a: 1 }], task_run_id: task },
  });
  await world.send("create without key", post, { body: { type: "result", data: { x: null }, flow_run_id: run } });
  await world.send("create bare", post, { body: {} });
  await world.send("read", `GET /artifacts/${first.id}`);
  await world.send("latest of the key", `GET /artifacts/${key}/latest`);
  await world.send("latest of an unknown key", `GET /artifacts/${world.name("none")}/latest`);
  await world.send("change", `PATCH /artifacts/${first.id}`, { body: { data: "# one and a half", description: "e" } });
  await world.send("changed", `GET /artifacts/${first.id}`);
  const bodies: Record<string, JsonObject> = {
    "key in capitals": { key: "Report" },
    "key with underscores": { key: "my_report" },
    "metadata of no text": { key, metadata_: { a: { b: 1 } } },
    "unknown field": { key, colour: 1 },
    "run is no uuid": { key, flow_run_id: "x" },
  };
  for (const [name, body] of Object.entries(bodies)) await world.send(`refused: ${name}`, post, { body });
  const flow_runs = { id: { any_: [run] } };
  const artifacts = { key: { like_: world.suffix } };
  const filters: Record<string, JsonObject> = {
    "by run": { artifacts: { flow_run_id: { any_: [run] } } },
    "by task run": { artifacts: { task_run_id: { any_: [task] } } },
    "by key": { artifacts: { key: { any_: [key] } } },
    "by key like": { artifacts },
    "by type": { artifacts: { ...artifacts, type: { any_: ["table"] } } },
    "by not type": { artifacts: { ...artifacts, type: { not_any_: ["table"] } } },
    "without key": { artifacts: { flow_run_id: { any_: [run] }, key: { exists_: false } } },
    "with key": { artifacts: { flow_run_id: { any_: [run] }, key: { exists_: true } } },
    "by id": { artifacts: { id: { any_: [first.id] } } },
    either: { artifacts: { operator: "or_", id: { any_: [first.id] }, key: { any_: [world.name("table")] } } },
    "by flow run": { artifacts, flow_runs },
    "by flow": { artifacts, flows: { id: { any_: [flow] } } },
    "by task run name": { artifacts, task_runs: { name: { any_: [world.name("task")] } } },
    "by deployment": { artifacts, deployments: { name: { any_: [world.name("none")] } } },
    refused: { artifacts: { colour: 1 } },
  };
  for (const [name, body] of Object.entries(filters)) {
    const view = { view: pick("key", "type", "data"), unordered: true };
    await world.send(`filter ${name}`, "POST /artifacts/filter", { body, ...view });
    await world.send(`count ${name}`, "POST /artifacts/count", { body });
  }
  const latest: Record<string, JsonObject> = {
    "by key like": { artifacts },
    "by type": { artifacts: { ...artifacts, type: { any_: ["markdown"] } } },
    "by run": { artifacts: { flow_run_id: { any_: [run] } } },
    "by latest id": { artifacts: { latest_id: { any_: [table.id] } } },
  };
  for (const [name, body] of Object.entries(latest)) {
    await world.send(`latest ${name}`, "POST /artifacts/latest/filter", {
      body,
      view: pick("key", "type", "data"),
      unordered: true,
    });
    await world.send(`latest count ${name}`, "POST /artifacts/latest/count", { body });
  }
  await world.send("latest in full", "POST /artifacts/latest/filter", {
    body: { artifacts: { key: { any_: [key] } } },
  });
  for (const sort of ["CREATED_DESC", "UPDATED_DESC", "KEY_ASC", "KEY_DESC", "SIDEWAYS"]) {
    await world.send(`sort ${sort}`, "POST /artifacts/filter", { body: { artifacts, sort }, view: pick("key") });
  }
  await world.send("delete", `DELETE /artifacts/${first.id}`);
  await world.send("delete again", `DELETE /artifacts/${first.id}`);
  await world.send("change deleted", `PATCH /artifacts/${first.id}`, { body: { data: 1 } });
  await world.send("latest is still the newer", `GET /artifacts/${key}/latest`, { view: pick("data") });
}
