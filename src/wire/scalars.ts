/**
 * Numbers, flags and objects as pydantic reads them, and pydantic's error for a value that a schema refuses. The error
 * is in the `params` of Zod's issue, where `http/errors.ts` reads it.
 */
import * as z from "zod";
import { type ExactNumber, isExactNumber, numberOf } from "#lib/json";
import { isObject } from "#lib/json-value";

/** The `params` of an issue that has its own type. */
export interface RefusalParams {
  /** The `type` of the 422 answer's detail. */
  type: string;
  /** The `ctx` of the 422 answer's detail. */
  ctx?: Record<string, unknown>;
  /** The `input` of the 422 answer's detail, if it is not the refused value. */
  input?: unknown;
}

/** The last argument of a schema, for issues with these `params`. Zod calls `error` with each new issue, and keeps changes of the issue. */
const ownWords = (params: object, message: string) => ({
  error: (issue: object) => (Object.assign(issue, { params }), message),
});

/** The last argument of a schema. The schema's refusals have this type, message and context. */
export const refusal = (type: string, message: string, ctx?: RefusalParams["ctx"]) =>
  ownWords({ type, ...(ctx && { ctx }) }, message);

/** The last argument of a union. The union's refusal names each branch. `branches` has the order of the union. */
export const branchNames = (...branches: string[]) =>
  ownWords({ branches }, "Input should match one of the allowed shapes");

/** Refuses a value within a transform, with this type, message and context. Gives what the transform has to return. */
export function refuse(
  context: z.core.$RefinementCtx,
  type: string,
  message: string,
  ctx?: RefusalParams["ctx"],
): typeof z.NEVER {
  context.addIssue({ code: "custom", message, params: { type, ...(ctx && { ctx }) } });
  return z.NEVER;
}

/** One of several texts. The refusal has pydantic's text for a `Literal`. */
export const literal = <const Word extends string>(...words: Word[]) =>
  z
    .unknown()
    .meta({ type: "string", enum: words })
    .transform((value, context): Word => {
      const word = words.find((each) => each === value);
      if (word !== undefined) return word;
      const quoted = words.map((each) => `'${each}'`);
      const expected = `${quoted.slice(0, -1).join(", ")} or ${quoted.at(-1)}`;
      if (value !== undefined) return refuse(context, "literal_error", `Input should be ${expected}`, { expected });
      // An issue without a type says that the field is missing.
      context.addIssue("Field required");
      return z.NEVER;
    });

/** The schema, with each `ExactNumber` read as the nearest number of JavaScript. */
export const plain = <S extends z.ZodType>(schema: S) => z.preprocess((value: z.input<S>) => numberOf(value), schema);

/** A number, a flag, or the text of a number or flag; `name` is the name of the type in pydantic. */
const loose = (name: string, words: string) =>
  plain(z.union([z.number(), z.string(), z.boolean()], refusal(`${name}_type`, `Input should be a valid ${words}`)));

/** A whole number of at most 2^53. A larger number is refused and never rounded. Prefect: its integers have 64 bits. */
export const Int = loose("int", "integer")
  .meta({ type: "integer" })
  .transform((value, context) => {
    if (typeof value === "boolean") return value ? 1 : 0;
    if (typeof value === "number") {
      if (Number.isInteger(value)) return value;
      return refuse(context, "int_from_float", "Input should be a valid integer, got a number with a fractional part");
    }
    if (/^\s*[+-]?\d+(\.0*)?\s*$/.test(value)) return Number(value);
    return refuse(context, "int_parsing", "Input should be a valid integer, unable to parse string as an integer");
  })
  .pipe(z.number().min(Number.MIN_SAFE_INTEGER).max(Number.MAX_SAFE_INTEGER));

/** A whole number of at least `minimum`. */
export const intFrom = (minimum: number) => Int.pipe(z.number().min(minimum));

/** A number. */
export const Float = loose("float", "number")
  .meta({ type: "number" })
  .transform((value, context) => {
    if (typeof value === "boolean") return value ? 1 : 0;
    if (typeof value === "number") return value;
    if (value.trim() !== "" && Number.isFinite(Number(value))) return Number(value);
    return refuse(context, "float_parsing", "Input should be a valid number, unable to parse string as a number");
  });

const TRUE = new Set<unknown>([true, 1, "1", "true", "t", "yes", "y", "on"]);
const FALSE = new Set<unknown>([false, 0, "0", "false", "f", "no", "n", "off"]);

/** A flag. */
export const Bool = loose("bool", "boolean")
  .meta({ type: "boolean" })
  .transform((value, context) => {
    const key = typeof value === "string" ? value.toLowerCase() : value;
    if (TRUE.has(key)) return true;
    if (FALSE.has(key)) return false;
    if (typeof value === "number" && !Number.isInteger(value)) {
      return refuse(context, "bool_type", "Input should be a valid boolean");
    }
    return refuse(context, "bool_parsing", "Input should be a valid boolean, unable to interpret input");
  });

/** An object with any content. The object is not copied: a copy would lose a key called `__proto__`. It may have `ExactNumber`s. */
export const JsonObject = objectOf<unknown>().meta({ type: "object", additionalProperties: true });

function objectOf<Value>() {
  return z.custom<Record<string, Value>>(isObject, {
    message: "Input should be a valid dictionary",
    params: { type: "dict_type" },
  });
}

const MAX_LABELS = 1_000;
const MAX_LABEL_CHARACTERS = 10_000;

/** A number of any size, kept as it was sent. */
const LabelNumber = z
  .custom<number | ExactNumber>((value) => typeof value === "number" || isExactNumber(value), {
    message: "Input should be a valid number",
    params: { type: "float_type" },
  })
  .meta({ type: "number" });

const Label = z.union(
  [
    z.boolean(),
    z.int(refusal("int_type", "Input should be a valid integer")),
    LabelNumber,
    z.string().max(MAX_LABEL_CHARACTERS),
  ],
  branchNames("bool", "int", "float", "str"),
);

/** The labels of a resource, as they were sent: text keys with scalar values. */
export const Labels = objectOf<z.output<typeof Label>>()
  .superRefine((labels, context) => {
    const entries = Object.entries(labels);
    if (entries.length > MAX_LABELS) context.addIssue(`A thing may have at most ${MAX_LABELS} labels`);
    for (const [key, label] of entries.slice(0, MAX_LABELS)) {
      const { error } = Label.safeParse(label);
      for (const issue of error?.issues ?? []) context.addIssue({ ...issue, path: [key, ...issue.path] });
    }
  })
  .meta({
    type: "object",
    additionalProperties: { anyOf: ["boolean", "integer", "number", "string"].map((type) => ({ type })) },
  });
