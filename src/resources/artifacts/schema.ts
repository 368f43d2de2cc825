/** Artifacts and their collections on the wire. */
import { namedObject, namedStrictObject } from "#wire/named";
import * as z from "zod";
import { EntityText, Uuid, UuidText } from "#wire/ids";
import { JsonObject } from "#wire/scalars";
import { ShortText } from "#wire/sizes";

const ArtifactKey = ShortText.refine((key) => /^[a-z0-9-]*$/.test(key), {
  message: "Artifact key must only contain lowercase letters, numbers, and dashes.",
});

/** Prefect: `validate_max_metadata_length`. */
const MAX_METADATA_CHARACTERS = 500;

/** Texts by their names. Prefect: a text that is too long is cut. */
const Metadata = JsonObject.meta({ type: "object", additionalProperties: { type: "string" } }).transform(
  (texts, context) => {
    const entries = Object.entries(texts).map(([name, text]) => {
      if (typeof text === "string") return [name, shorten(text)] as const;
      const [message, params] = ["Input should be a valid string", { type: "string_type" }];
      context.addIssue({ code: "custom", path: [name], message, params });
      return [name, ""] as const;
    });
    return Object.fromEntries(entries);
  },
);

function shorten(text: string): string {
  const characters = text.length <= MAX_METADATA_CHARACTERS ? [] : Array.from(text);
  return characters.length <= MAX_METADATA_CHARACTERS
    ? text
    : `${characters.slice(0, MAX_METADATA_CHARACTERS).join("")}...`;
}

const content = {
  description: z.string().nullish(),
  data: z.unknown().optional(),
  metadata_: Metadata.nullish(),
};

export const ArtifactCreate = namedStrictObject("ArtifactCreate", {
  key: ArtifactKey.nullish(),
  type: ShortText.nullish(),
  ...content,
  flow_run_id: Uuid.nullish(),
  task_run_id: Uuid.nullish(),
});
export type ArtifactCreate = z.output<typeof ArtifactCreate>;

export const ArtifactUpdate = namedStrictObject("ArtifactUpdate", content);
export type ArtifactUpdate = z.output<typeof ArtifactUpdate>;

const shown = {
  type: z.string().nullable(),
  description: z.string().nullable(),
  data: z.unknown(),
  metadata_: z.record(z.string(), z.string()).nullable(),
  flow_run_id: UuidText.nullable(),
  task_run_id: UuidText.nullable(),
};

export const Artifact = namedObject("Artifact", { ...EntityText, key: z.string().nullable(), ...shown });

export const ArtifactCollection = namedObject("ArtifactCollection", {
  ...EntityText,
  key: z.string(),
  latest_id: UuidText,
  ...shown,
});
