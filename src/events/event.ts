/** Events on the wire and in segments. */
import { namedObject } from "#wire/named";
import * as z from "zod";
import { isObject } from "#lib/json-value";
import type { Micros } from "#lib/clock";
import { printTime, TimeAsText, TimeText } from "#wire/dates";
import { Uuid, UuidText } from "#wire/ids";
import { JsonObject } from "#wire/scalars";

/** Prefect: PREFECT_SERVER_EVENTS_MAXIMUM_LABELS_PER_RESOURCE. */
const MAX_LABELS = 500;
/** Prefect: PREFECT_SERVER_EVENTS_MAXIMUM_RELATED_RESOURCES. */
const MAX_RELATED = 100;
/** Prefect: PREFECT_SERVER_EVENTS_MAXIMUM_EVENT_NAME_LENGTH. */
const MAX_NAME_CHARACTERS = 1024;
/** The bound of a resource's id and of its role, because ids are keys of the index of resources. */
const MAX_ID_CHARACTERS = 2_000;
/** Prefect: PREFECT_SERVER_EVENTS_MAXIMUM_SIZE_BYTES; a larger event is skipped without an error. */
export const MAX_EVENT_BYTES = 1_500_000;

/** The label that names a resource. */
export const RESOURCE_ID = "prefect.resource.id";
/** The label for the role of a related resource in the event. */
export const RESOURCE_ROLE = "prefect.resource.role";

function wrongResource(labels: Record<string, string>): string | null {
  if (Object.keys(labels).length > MAX_LABELS) return `The maximum number of labels per resource is ${MAX_LABELS}`;
  return wrongLabel("Resources", RESOURCE_ID, labels[RESOURCE_ID]);
}

function wrongRelated(labels: Record<string, string>): string | null {
  return wrongResource(labels) ?? wrongLabel("Related Resources", RESOURCE_ROLE, labels[RESOURCE_ROLE]);
}

/** The reason why a label that `things` must have is wrong, or null. */
function wrongLabel(things: string, label: string, value: string | undefined): string | null {
  if (value === undefined) return `${things} must include the ${label} label`;
  if (value === "") return `The ${label} label must be non-empty`;
  return value.length > MAX_ID_CHARACTERS ? `The ${label} label must be at most ${MAX_ID_CHARACTERS} characters` : null;
}

/** Labels are checked one by one and not copied, because a copy would lose a label with the name `__proto__`. */
const labels = (check: (labels: Record<string, string>) => string | null) =>
  z
    .custom<Record<string, string>>(isObject, {
      message: "Input should be a valid dictionary",
      params: { type: "dict_type" },
    })
    .superRefine((given, context) => {
      const wrong = Object.keys(given).find((label) => typeof given[label] !== "string");
      if (wrong !== undefined)
        context.addIssue({ code: "invalid_type", expected: "string", path: [wrong], input: given[wrong] });
      const message = check(given);
      if (message) context.addIssue({ code: "custom", message });
    })
    .meta({ type: "object", additionalProperties: { type: "string" } });

/** The resource that an event is about: labels, including `prefect.resource.id`. */
export const Resource = labels(wrongResource).meta({ id: "Resource" });
export type Resource = z.output<typeof Resource>;

/** A resource that is also part of an event, with its role. */
const RelatedResource = labels(wrongRelated).meta({ id: "RelatedResource" });

/** An event as a client sends it. `occurred` is an RFC 3339 text in UTC. */
export const Event = namedObject("Event", {
  occurred: TimeAsText,
  event: z.string().refine((name) => name.length <= MAX_NAME_CHARACTERS, {
    message: `Event name must be at most ${MAX_NAME_CHARACTERS} characters`,
  }),
  resource: Resource,
  related: z
    .array(RelatedResource)
    .refine((related) => related.length <= MAX_RELATED, {
      message: `The maximum number of related resources is ${MAX_RELATED}`,
    })
    .default([]),
  payload: JsonObject.default({}),
  id: Uuid,
  follows: Uuid.nullish().transform((id) => id ?? null),
});
export type Event = z.output<typeof Event>;

/** An event that was received. The server adds the time. */
export const ReceivedEvent = namedObject("ReceivedEvent", {
  occurred: TimeText,
  event: z.string(),
  resource: z.record(z.string(), z.string()),
  related: z.array(z.record(z.string(), z.string())),
  payload: JsonObject,
  id: UuidText,
  follows: UuidText.nullable(),
  received: TimeText,
});
export type ReceivedEvent = z.output<typeof ReceivedEvent>;

/** Returns the event as it is stored and shown. The keys have the original's order. */
export function receiveEvent(event: Event, now: Micros): ReceivedEvent {
  const { occurred, event: name, resource, related, payload, id, follows } = event;
  return { occurred, event: name, resource, related, payload, id, follows, received: printTime(now) };
}

/** Returns the id of a resource. */
export function resourceId(resource: Resource): string {
  return resource[RESOURCE_ID] ?? "";
}

/** Returns the id in `<kind>.<id>`, or undefined if the text does not begin with the kind. */
export function idOfKind(kind: string, resource: string): string | undefined {
  return resource.startsWith(`${kind}.`) ? resource.slice(kind.length + 1) : undefined;
}
