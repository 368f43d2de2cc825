/** The routes under /collections. */
import * as z from "zod";
import { route } from "#http/route";
import { staticAnswer } from "#http/static-answer";
import { refused } from "#lib/api-error";
import workers from "./workers.json";

/** Prefect: views of Prefect's registry that this server does not have. */
const KNOWN_VIEWS = new Set(["aggregate-block-metadata", "aggregate-flow-metadata", "demo-flows"]);

let text: string | undefined;

/** The types of workers as JSON, printed once. */
const workersText = () => (text ??= JSON.stringify(workers));

export const collectionRoutes = [
  route(
    {
      method: "GET",
      path: "/collections/views/{view}",
      summary: "Read the types of workers, with the templates of their work pools.",
      response: z.record(z.string(), z.unknown()),
    },
    ({ params: { view }, request }) => {
      if (view === "aggregate-worker-metadata")
        return staticAnswer(request, workersText(), { "content-type": "application/json" });
      if (KNOWN_VIEWS.has(view)) throw refused(404, `Requested content missing for view ${view}`);
      throw refused(404, `View ${view} not found in registry`);
    },
  ),
];
