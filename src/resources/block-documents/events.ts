/** The events of block documents. They name no secret value. */
import { type Action, changeEvent } from "#events/change-event";
import { type Event, RESOURCE_ID, RESOURCE_ROLE } from "#events/event";
import type { ShownDocument } from "#resources/block-documents/full-document";
import type { Tools } from "#tools";

/** The event of a change. `document` is shown without its secrets. */
export function documentEvent(tools: Tools, action: Action, document: ShownDocument): Event {
  const { id, name, data, block_type_id, block_type_name, block_schema, block_schema_id } = document;
  const type = { [RESOURCE_ID]: `prefect.block-type.${block_type_id}`, [RESOURCE_ROLE]: "block-type" };
  const schema = { [RESOURCE_ID]: `prefect.block-schema.${block_schema_id}`, [RESOURCE_ROLE]: "block-schema" };
  const secretFields = block_schema?.fields["secret_fields"];
  const secrets = new Set<unknown>(Array.isArray(secretFields) ? secretFields : []);
  const texts = Object.entries(data).filter(([key, value]) => !secrets.has(key) && typeof value === "string");
  return changeEvent(
    tools,
    "block-document",
    action,
    { id, name },
    {
      related: [{ ...type, "prefect.resource.name": block_type_name }, schema],
      payload: {
        name,
        data: Object.fromEntries(texts),
        block_schema: block_schema && {
          capabilities: block_schema.capabilities,
          block_type: { id: block_type_id, name: block_type_name },
        },
      },
    },
  );
}
