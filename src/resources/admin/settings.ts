/** The settings in the shape of Prefect's model. Settings that this server does not have show a client's defaults. */
import * as z from "zod";
import { SETTINGS } from "#env";
import { MAX_EVENT_BYTES } from "#events/event";
import { isObject } from "#lib/json-value";
import type { Tools } from "#tools";
import { printIsoDuration } from "#wire/dates";
import { MAX_LIMIT } from "#wire/paging";
import model from "./prefect-settings.json";

/** The text in place of a secret. */
const HIDDEN = "**********";

/** Prints the settings of this server. Host, port and API URL come from `url`. */
export function printSettings({ settings }: Pick<Tools, "settings">, url: URL): unknown {
  const values = SETTINGS.flatMap(({ variables, place }) =>
    variables.map((variable): [string, unknown] => [variable, valueAt(settings, place)]),
  );
  const own = {
    PREFECT_SERVER_API_AUTH_STRING: settings.authString === null ? null : HIDDEN,
    PREFECT_SERVER_API_HOST: url.hostname,
    PREFECT_SERVER_API_PORT: Number(url.port) || (url.protocol === "https:" ? 443 : 80),
    PREFECT_SERVER_API_DEFAULT_LIMIT: MAX_LIMIT,
    PREFECT_SERVER_EVENTS_MAXIMUM_SIZE_BYTES: MAX_EVENT_BYTES,
    PREFECT_SERVER_UI_API_URL: `${url.origin}/api`,
  };
  return filled(model, "PREFECT", new Map([...values, ...Object.entries(own)]));
}

/** The schema of the settings, made from Prefect's defaults. */
export const Settings = () => schemaOf(model).meta({ id: "Settings" });

function schemaOf(value: unknown): z.ZodType {
  if (value === null) return z.unknown().nullable();
  if (Array.isArray(value)) return z.array(z.unknown());
  switch (typeof value) {
    case "object":
      return z.object(Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, schemaOf(inner)])));
    case "boolean":
      return z.boolean();
    case "number":
      return z.number();
    default:
      return z.string();
  }
}

const valueAt = (settings: unknown, place: readonly string[]) =>
  place.reduce((value, name) => (isObject(value) ? value[name] : undefined), settings);

/** Fills the values of variables into a part of the model. Prefect: a variable is named after its setting's place in the model. */
function filled(part: unknown, variable: string, values: ReadonlyMap<string, unknown>): unknown {
  if (values.has(variable)) return inTheFormOf(part, values.get(variable));
  if (!isObject(part)) return part;
  const entries = Object.entries(part);
  return Object.fromEntries(
    entries.map(([name, inner]) => [name, filled(inner, `${variable}_${name.toUpperCase()}`, values)]),
  );
}

/** A value in the form of the model. If the model has a text, a number is printed as a duration, and a list is joined by commas. */
function inTheFormOf(printed: unknown, value: unknown): unknown {
  if (isObject(value))
    return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, inTheFormOf("", one)]));
  if (typeof printed !== "string") return value;
  if (Array.isArray(value)) return value.join(",");
  return typeof value === "number" ? printIsoDuration(value) : value;
}
