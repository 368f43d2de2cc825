/** How clients ask for automations. */
import * as z from "zod";
import { Operator, Values } from "#filters/clause";
import { namedStrictObject } from "#wire/named";
import { Time } from "#wire/dates";
import { Uuid } from "#wire/ids";
import { Bool } from "#wire/scalars";

const Texts = Values(z.string()).nullish();

export const AutomationFilter = namedStrictObject("AutomationFilter", {
  operator: Operator.default("and_"),
  id: namedStrictObject("AutomationFilterId", { any_: Values(Uuid).nullish() }).nullish(),
  name: namedStrictObject("AutomationFilterName", { any_: Texts }).nullish(),
  created: namedStrictObject("AutomationFilterCreated", { before_: Time.nullish() }).nullish(),
  tags: namedStrictObject("AutomationFilterTags", {
    operator: Operator.default("and_"),
    all_: Texts,
    any_: Texts,
    is_null_: Bool.nullish(),
  }).nullish(),
});

export const AutomationSort = z
  .enum(["CREATED_DESC", "UPDATED_DESC", "NAME_ASC", "NAME_DESC"])
  .meta({ id: "AutomationSort" });
