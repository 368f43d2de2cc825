/** Saved searches of the old user interface. */
import { pick, type Scenario, type World } from "../play.ts";

export const savedSearches: Scenario = { name: "saved-searches", play: playSavedSearches };

async function playSavedSearches(world: World): Promise<void> {
  const put = "PUT /saved_searches/";
  const filters = [{ object: "flow_run", property: "name", type: "string", operation: "equals", value: "x" }];
  const made = await world.send("create", put, { body: { name: world.name("search"), filters } });
  await world.send("put again", put, { body: { name: world.name("search"), filters: [] } });
  await world.send("read", `GET /saved_searches/${made.id}`);
  await world.send("create bare", put, { body: { name: world.name("bare") }, view: pick("name", "filters") });
  await world.send("no name", put, { body: {} });
  await world.send("filter without value", put, { body: { name: world.name("x"), filters: [{ object: "flow_run" }] } });
  await world.send("delete", `DELETE /saved_searches/${made.id}`);
  await world.send("delete again", `DELETE /saved_searches/${made.id}`);
}
