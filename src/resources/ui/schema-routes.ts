/** The route under /ui/schemas: the check of a form's values. */
import { embedded, route } from "#http/route";
import { SchemaValuesValidationResponse } from "#resources/ui/schema";
import { validateValues } from "#resources/ui/validate-values";
import { JsonObject } from "#wire/scalars";

export const uiSchemaRoutes = [
  route(
    {
      method: "POST",
      path: "/ui/schemas/validate",
      summary: "Check values by a JSON schema, and name the faults of each property.",
      body: embedded({ schema: JsonObject, values: JsonObject }),
      response: SchemaValuesValidationResponse,
    },
    ({ body, tools }) => validateValues(tools, body),
  ),
];
