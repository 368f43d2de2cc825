/** Logs on the wire. */
import { namedStrictObject } from "#wire/named";
import * as z from "zod";
import { Time } from "#wire/dates";
import { Uuid } from "#wire/ids";
import { refusal, Int } from "#wire/scalars";
import { ShortText } from "#wire/sizes";

/** A log as a client sends it. */
export const LogCreate = namedStrictObject("LogCreate", {
  name: ShortText,
  level: Int,
  message: z.string(),
  timestamp: Time,
  flow_run_id: Uuid.nullish(),
  task_run_id: Uuid.nullish(),
});
export type LogCreate = z.output<typeof LogCreate>;

const refusalOfText = refusal("sequence_str", "'str' instances are not allowed as a Sequence value", {
  type_name: "str",
});
const refusalOfOther = refusal("is_instance_of", "Input should be an instance of Sequence", { class: "Sequence" });

/** A batch of logs. Prefect: the type is a `Sequence`, and the refusal says so. */
export const LogsCreate = z.array(LogCreate, {
  error: (issue) => (typeof issue.input === "string" ? refusalOfText : refusalOfOther).error(issue),
});
