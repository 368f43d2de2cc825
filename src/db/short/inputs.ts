/** The inputs of a task run (`task_inputs`) in a short form: the result of a task run is only the id of that task run. */
import { sql, type SQL } from "drizzle-orm";
import { readJson } from "#db/database";
import { isCanonical } from "#db/short/uuid";
import type { ShortForm } from "#db/short/form";
import { isObject } from "#lib/json-value";

/** An input of a parameter. */
export interface TaskInput {
  input_type?: string;
  id?: string;
}

type Inputs<T> = Record<string, T[]>;

export const inputsForm = {
  read(text: string): Inputs<TaskInput> {
    return each(readJson<Inputs<TaskInput | string>>(text), (input) =>
      typeof input === "string" ? { input_type: "task_run", id: input } : input,
    );
  },
  write: (value: unknown): string =>
    JSON.stringify(each(value as Inputs<TaskInput>, (input) => (isTaskRun(input) ? input.id : input))),
} satisfies ShortForm;

function each<From, To>(inputs: Inputs<From>, convert: (input: From) => To): Inputs<To> {
  const isLists = isObject(inputs) && Object.values(inputs).every(Array.isArray);
  // A row may be older than the checks of its values.
  if (!isLists) return inputs as unknown as Inputs<To>;
  return Object.fromEntries(Object.entries(inputs).map(([name, some]) => [name, some.map(convert)]));
}

function isTaskRun(input: TaskInput): boolean {
  return (
    isObject(input) &&
    Object.keys(input).join() === "input_type,id" &&
    input["input_type"] === "task_run" &&
    isCanonical(input["id"])
  );
}

/** The id of the run of an input. `input` is a row of `json_each` over the inputs of a parameter. */
export const inputId = (input: string): SQL =>
  sql.raw(`iif(${input}.type = 'text', ${input}.value, ${input}.value ->> '$.id')`);
