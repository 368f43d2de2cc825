/** The routes that say who is there: health, hello, ready, version, and the token of a protection that is off. */
import { sql } from "drizzle-orm";
import { z } from "zod";
import { API_VERSION } from "#http/api-version";
import { route } from "#http/route";
import { unprocessable } from "#lib/api-error";

export const rootRoutes = [
  route(
    { method: "GET", path: "/health", summary: "Say that the server answers.", response: z.literal(true) },
    () => true,
  ),
  route({ method: "GET", path: "/hello", summary: "Say hello.", response: z.string() }, () => "👋"),
  route(
    {
      method: "GET",
      path: "/ready",
      summary: "Say that the database answers too.",
      response: z.object({ message: z.string() }),
    },
    async ({ tools }) => {
      await tools.db.rows(sql`select 1`);
      return { message: "OK" };
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
      summary: "Ask for a CSRF token; there are none, for no request is trusted by its cookies.",
      query: z.object({ client: z.string() }),
      response: z
        .object({ id: z.string(), token: z.string(), client: z.string(), expiration: z.string() })
        .meta({ id: "CsrfToken" }),
    },
    () => {
      // Prefect: the client looks for exactly these words, and then stops asking.
      throw unprocessable("CSRF protection is disabled.");
    },
  ),
];
