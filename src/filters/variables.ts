/** The criteria of variables. */
import * as z from "zod";
import { variable } from "#db/tables/variable";
import { anyId, anyOf, combinable, contains, group, hasAllTags, hasNoTags } from "./clause";

export const variableFilter = combinable("VariableFilter", {
  id: group("VariableFilterId", { any_: anyId(variable.id) }),
  name: group("VariableFilterName", { any_: anyOf(z.string(), variable.name), like_: contains(variable.name) }),
  tags: combinable("VariableFilterTags", { all_: hasAllTags(variable.tags), is_null_: hasNoTags(variable.tags) }),
});

export const VariableFilter = variableFilter.schema;
export type VariableFilter = z.output<typeof VariableFilter>;
