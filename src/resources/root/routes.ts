/** The routes that say whether the server works, and which version it has. */
import { namedObject } from "#wire/named";
import { sql } from "drizzle-orm";
import * as z from "zod";
import { API_VERSION } from "#http/api-version";
import { createCsrfToken } from "#http/csrf";
import { Reply, route } from "#http/route";
import { log } from "#lib/log";
import { TimeText } from "#wire/dates";
import { EntityText } from "#wire/ids";

const CsrfToken = namedObject("CsrfToken", {
  ...EntityText,
  token: z.string(),
  client: z.string(),
  expiration: TimeText,
});

/** Clients send a UUID. */
const MAX_CLIENT_CHARACTERS = 200;

export const rootRoutes = [
  route(
    { method: "GET", path: "/health", summary: "Tell whether the server answers.", response: z.boolean() },
    () => true,
  ),
  route({ method: "GET", path: "/hello", summary: "Say hello.", response: z.string() }, () => "👋"),
  route(
    {
      method: "GET",
      path: "/ready",
      summary: "Tell whether the database answers too.",
      response: z.object({ message: z.string() }),
    },
    async ({ tools }) => {
      try {
        await tools.db.rows(sql`select 1`);
        return { message: "OK" };
      } catch (error) {
        log(tools, "error", "the database does not answer", { error });
        return new Reply({ message: "Database is not available" }, 503);
      }
    },
  ),
  route(
    { method: "GET", path: "/version", summary: "Read the version of the API.", response: z.string() },
    () => API_VERSION,
  ),
  route(
    {
      method: "GET",
      path: "/csrf-token",
      summary: "Create a CSRF token for a client. A server that wants none answers with a 422.",
      query: z.object({ client: z.string().max(MAX_CLIENT_CHARACTERS) }),
      response: CsrfToken,
    },
    ({ query, tools }) => createCsrfToken(tools, query.client),
  ),
];
