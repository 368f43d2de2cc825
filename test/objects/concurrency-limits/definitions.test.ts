import { describe, expect, test } from "vitest";
import { Definitions } from "#objects/concurrency-limits/definitions";
import type { Limit } from "#objects/concurrency-limits/ledger";

const SECOND = 1_000_000;
const START = 1_700_000_000 * SECOND;
const aLimit = (name: string): Limit => ({
  id: `id of ${name}`,
  name,
  limit: 1,
  active: true,
  slot_decay_per_second: 0,
});
const tag = aLimit("tag:a");
const own = aLimit("deployment:d");

function known(): Definitions {
  const definitions = new Definitions();
  definitions.learn({ common: true, names: [own.name], ids: [own.id] }, [tag, own], START);
  return definitions;
}

describe("the limits that must be read", () => {
  test.for([
    ["a name that is known", { names: ["tag:a"], ids: [] }, 0, null],
    ["a name that no limit has", { names: ["tag:none"], ids: [] }, 0, null],
    ["an id that is known", { names: [], ids: [tag.id] }, 29, null],
    ["a deployment's limit that is known", { names: [], ids: [own.id] }, 29, null],
    ["an id that is not", { names: [], ids: ["other"] }, 0, { common: false, names: [], ids: ["other"] }],
    [
      "another deployment's limit",
      { names: ["deployment:e"], ids: [] },
      0,
      { common: false, names: ["deployment:e"], ids: [] },
    ],
    ["a name, after a while", { names: ["tag:none"], ids: [] }, 30, { common: true, names: [], ids: [] }],
    ["an id, after a while", { names: [], ids: [tag.id, own.id] }, 30, { common: true, names: [], ids: [own.id] }],
  ] as const)("for %s", ([, asked, seconds, wanted]) => {
    expect(known().wanted(asked, START + seconds * SECOND)).toEqual(wanted);
  });

  test("are all limits after a change, and a change has a new generation", () => {
    const definitions = known();
    const { generation } = definitions;
    definitions.expire();
    expect(definitions.generation).not.toBe(generation);
    expect(definitions.wanted({ names: ["tag:a"], ids: [own.id] }, START)).toEqual({
      common: true,
      names: [],
      ids: [own.id],
    });
  });
});

describe("a read definition", () => {
  test("replaces the known definition, and names the deleted limits", () => {
    const definitions = known();
    const renamed = { ...tag, name: "tag:b" };
    const gone = definitions.learn({ common: true, names: [], ids: [own.id] }, [renamed], START);
    expect(gone).toEqual([own.id]);
    expect([definitions.named("tag:a"), definitions.named("tag:b"), definitions.read(own.id)]).toEqual([
      undefined,
      renamed,
      undefined,
    ]);
  });

  test("of one limit does not change the other limits", () => {
    const definitions = known();
    definitions.learn({ common: false, names: [], ids: ["id of global"] }, [aLimit("global")], START + 31 * SECOND);
    expect(definitions.named("tag:a")).toEqual(tag);
    expect(definitions.wanted({ names: [], ids: ["id of global"] }, START + 32 * SECOND)).toBeNull();
  });

  test("of a deployment is removed from memory if there are too many, and the others are kept", () => {
    const definitions = known();
    const many = Array.from({ length: 5_001 }, (_, index) => aLimit(`deployment:${index}`));
    definitions.learn({ common: false, names: [], ids: many.map(({ id }) => id) }, many, START);
    expect(definitions.read("id of deployment:7")).toBeDefined();
    definitions.learn({ common: false, names: [], ids: ["one more"] }, [], START);
    expect([definitions.read("id of deployment:7"), definitions.named("tag:a")]).toEqual([undefined, tag]);
  });
});
