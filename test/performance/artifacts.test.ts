/** How many rows the lists of artifacts read, with few and with many artifacts of 500 keys. */
import { env } from "cloudflare:test";
import { expect, test } from "vitest";
import { costOf, TELL_COST } from "../support/cost";
import { api, type FlowRun, aFlowRun } from "../support/world";

const FEW = 1_000;
const MANY = 100_000;

/** Adds artifacts. Half of them have a key, a quarter was changed, and ten belong to the run. */
async function fill(run: FlowRun, from: number, to: number): Promise<void> {
  await env.DB.batch([
    env.DB.prepare(
      `with recursive n(i) as (select cast(?1 as int) union all select i + 1 from n where i + 1 < ?2),
        made as (select i, 1700000000000 + i as ms from n)
      insert into artifact (workspace_id, id, created, updated, key, type, data, flow_run_id)
      select x'01', unhex(format('%012x70008000%012x', ms, i)), ms * 1000,
        ms * 1000 + iif(i % 4 = 1, i * 7919 % 100000000, 0), iif(i % 2, 'k' || (i % ${FEW}), null), 'markdown', '"x"',
        iif(i < 10, unhex(?3, '-'), randomblob(16))
      from made`,
    ).bind(from, to, run.id),
    env.DB.prepare(
      `insert into artifact_collection (workspace_id, id, key, latest_id, created)
      select workspace_id, max(id), key, max(id), created from artifact where key is not null group by key
      on conflict (workspace_id, key) do update set latest_id = excluded.latest_id`,
    ),
  ]);
}

const SORTS = ["CREATED_DESC", "UPDATED_DESC", "ID_DESC", "KEY_DESC", "KEY_ASC"];
const ofKey = { artifacts: { key: { any_: ["k1"] } } };

async function rowsRead(run: FlowRun): Promise<Record<string, number>> {
  const asked: [path: string, body: object][] = [
    ...["/artifacts/filter", "/artifacts/latest/filter"].flatMap((path) =>
      [{}, { artifacts: { flow_run_id: { any_: [run.id] } } }].flatMap((filters) =>
        SORTS.map((sort): [string, object] => [path, { ...filters, sort }]),
      ),
    ),
    ...SORTS.map((sort): [string, object] => ["/artifacts/filter", { sort, offset: 300, limit: 100 }]),
    ["/artifacts/count", ofKey],
    ["/artifacts/count", {}],
    ["/artifacts/latest/count", {}],
    // What `Artifact.get` asks for.
    ["/artifacts/filter", { ...ofKey, sort: "UPDATED_DESC", limit: 1 }],
  ];
  const read: Record<string, number> = {};
  for (const [path, body] of asked) {
    const { status, headers } = await api("POST", path, body, TELL_COST);
    expect(status).toBe(200);
    read[`${path} ${JSON.stringify(body).replace(run.id, "run")}`] = costOf(headers, "rows_read");
  }
  return read;
}

test("a page reads as many rows beside 100,000 artifacts as beside 1,000", async () => {
  const run = await aFlowRun();
  await fill(run, 0, FEW);
  const few = await rowsRead(run);
  await fill(run, FEW, MANY);
  const many = await rowsRead(run);
  const grown = Object.entries(many).filter(([name, rows]) => rows > 1.5 * (few[name] ?? 0));
  expect(Object.fromEntries(grown)).toEqual({
    // A count reads an entry of an index for each artifact that it counts.
    "/artifacts/count {}": MANY,
    [`/artifacts/count ${JSON.stringify(ofKey)}`]: MANY / FEW + 1,
    // At first the key has one artifact. Of its 100 artifacts, the newest are read.
    [`/artifacts/filter ${JSON.stringify({ ...ofKey, sort: "UPDATED_DESC", limit: 1 })}`]: expect.closeTo(100, -1.5),
  });
}, 120_000);
