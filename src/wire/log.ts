/** The schema of a log. */
import { namedObject } from "#wire/named";
import * as z from "zod";
import { TimeText } from "#wire/dates";
import { EntityText, UuidText } from "#wire/ids";

/** A log in answers, and in messages to listeners. */
export const Log = namedObject("Log", {
  ...EntityText,
  name: z.string(),
  level: z.int(),
  message: z.string(),
  timestamp: TimeText,
  flow_run_id: UuidText.nullable(),
  task_run_id: UuidText.nullable(),
});
export type Log = z.output<typeof Log>;
