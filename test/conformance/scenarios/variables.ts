/** Variables: by id, by name, filtered, counted, refused. */
import { pick, type Scenario, type World } from "../play.ts";

export const variables: Scenario = { name: "variables", play: playVariables };

const names = pick("name");

async function playVariables(world: World): Promise<void> {
  const alpha = await lifeOfAVariable(world);
  await valuesOfEveryKind(world);
  await refusals(world, alpha);
  await filters(world);
  await byName(world);
}

async function lifeOfAVariable(world: World): Promise<string> {
  const name = world.name("alpha");
  const alpha = await world.send("create", "POST /variables/", {
    body: { name, value: "one", tags: ["red", "blue"] },
  });
  await world.send("create again", "POST /variables/", { body: { name, value: "two" } });
  await world.send("read by id", `GET /variables/${alpha.id}`);
  await world.send("read by name", `GET /variables/name/${name}`);
  await world.send("update value", `PATCH /variables/${alpha.id}`, { body: { value: { deep: [1, 2] } } });
  await world.send("value was updated, tags kept", `GET /variables/${alpha.id}`);
  await world.send("update tags to none", `PATCH /variables/${alpha.id}`, { body: { tags: [] } });
  await world.send("update nothing", `PATCH /variables/${alpha.id}`, { body: {} });
  await world.send("update value to null", `PATCH /variables/${alpha.id}`, { body: { value: null } });
  await world.send("value is null", `GET /variables/${alpha.id}`);
  return alpha.id;
}

async function valuesOfEveryKind(world: World): Promise<void> {
  const values = { number: 12.5, list: [1, "a", null], boolean: true, nothing: null, object: { a: { b: 1 } } };
  for (const [kind, value] of Object.entries(values)) {
    await world.send(`create a ${kind}`, "POST /variables/", { body: { name: world.name(kind), value } });
  }
}

async function refusals(world: World, id: string): Promise<void> {
  const post = "POST /variables/";
  await world.send("no name", post, { body: { value: 1 } });
  await world.send("no value", post, { body: { name: world.name("novalue") } });
  await world.send("capital letters", post, { body: { name: "Not_Lower", value: 1 } });
  await world.send("space in the name", post, { body: { name: "not this", value: 1 } });
  const unnamed = await world.send("empty name", post, { body: { name: "", value: 1 } });
  await world.send("delete the unnamed one", `DELETE /variables/${unnamed.id}`);
  await world.send("name of 301 characters", post, { body: { name: "a".repeat(301), value: 1 } });
  await world.send("name is a number", post, { body: { name: 5, value: 1 } });
  await world.send("unknown field", post, { body: { name: world.name("extra"), value: 1, colour: "red" } });
  await world.send("tags are no list", post, { body: { name: world.name("tags"), value: 1, tags: "red" } });
  await world.send("value too long", post, { body: { name: world.name("long"), value: "x".repeat(5001) } });
  await world.send("rename to bad name", `PATCH /variables/${id}`, { body: { name: "Bad Name" } });
  await world.send("read unknown", `GET /variables/${world.id("unknown")}`);
  await world.send("read bad id", "GET /variables/nonsense");
  await world.send("update unknown", `PATCH /variables/${world.id("unknown 2")}`, { body: { value: 1 } });
  await world.send("delete unknown", `DELETE /variables/${world.id("unknown 3")}`);
}

async function filters(world: World): Promise<void> {
  const ids: string[] = [];
  const worlds = { "f-one": ["x"], "f-two": ["x", "y"], "f-three": [] };
  for (const [name, tags] of Object.entries(worlds)) {
    const made = await world.send(`world: ${name}`, "POST /variables/", {
      body: { name: world.name(name), value: name, tags: tags.map((tag) => world.name(tag)) },
      quiet: true,
    });
    ids.push(made.id);
  }
  const mine = { id: { any_: ids } };
  const criteria = {
    "by ids": mine,
    "by name any": { name: { any_: [world.name("f-one"), world.name("f-two")] } },
    "by name like": { name: { like_: `f-t%${world.suffix}` } },
    "by name like, wrong case": { name: { like_: world.name("F-ONE") } },
    "by all tags": { tags: { all_: [world.name("x")] } },
    "by two tags": { tags: { all_: [world.name("x"), world.name("y")] } },
    "without tags": { ...mine, tags: { is_null_: true } },
    "with tags": { ...mine, tags: { is_null_: false } },
    either: { operator: "or_", name: { any_: [world.name("f-one")] }, tags: { all_: [world.name("y")] } },
    "empty any": { name: { any_: [] } },
  };
  for (const [name, filter] of Object.entries(criteria)) {
    await world.send(`filter ${name}`, "POST /variables/filter", {
      body: { variables: filter, sort: "NAME_ASC" },
      view: names,
    });
    await world.send(`count ${name}`, "POST /variables/count", { body: { variables: filter } });
  }
  for (const sort of ["NAME_ASC", "NAME_DESC", "CREATED_DESC", "UPDATED_DESC", "SIDEWAYS"]) {
    await world.send(`sort ${sort}`, "POST /variables/filter", { body: { variables: mine, sort }, view: names });
  }
  const paged = { variables: mine, sort: "NAME_ASC" };
  await world.send("first page", "POST /variables/filter", { body: { ...paged, limit: 1 } });
  await world.send("second page", "POST /variables/filter", {
    body: { ...paged, limit: 1, offset: 1 },
    view: names,
  });
  await world.send("limit 0", "POST /variables/filter", { body: { ...paged, limit: 0 } });
  await world.send("limit 201", "POST /variables/filter", { body: { ...paged, limit: 201 } });
  await world.send("unknown criterion", "POST /variables/filter", { body: { variables: { colour: {} } } });
}

async function byName(world: World): Promise<void> {
  const name = world.name("zeta");
  const zeta = await world.send("create zeta", "POST /variables/", { body: { name, value: 1 }, quiet: true });
  await world.send("update by name", `PATCH /variables/name/${name}`, { body: { value: 2, tags: ["t"] } });
  await world.send("updated by name", `GET /variables/name/${name}`);
  const renamed = world.name("zeta2");
  await world.send("rename", `PATCH /variables/name/${name}`, { body: { name: renamed } });
  await world.send("old name is gone", `GET /variables/name/${name}`);
  await world.send("new name reads", `GET /variables/name/${renamed}`);
  await world.send("rename to a taken name", `PATCH /variables/${zeta.id}`, { body: { name: world.name("alpha") } });
  await world.send("delete by name", `DELETE /variables/name/${renamed}`);
  await world.send("delete by name again", `DELETE /variables/name/${renamed}`);
  await world.send("update unknown by name", `PATCH /variables/name/${renamed}`, { body: { value: 1 } });
  const alpha = await world.send("alpha by name", `GET /variables/name/${world.name("alpha")}`);
  await world.send("delete by id", `DELETE /variables/${alpha.id}`);
  await world.send("deleted", `GET /variables/${alpha.id}`);
}
