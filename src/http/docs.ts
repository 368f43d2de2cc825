/** The page at /docs: the API's operations, which the page reads from the served OpenAPI document. */
import page from "./docs.html";

/** Gives the docs page. The page itself holds no data. */
export function docsPage(): Response {
  return new Response(page, {
    headers: {
      "content-type": "text/html; charset=utf-8",
      "content-security-policy":
        "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'",
    },
  });
}
