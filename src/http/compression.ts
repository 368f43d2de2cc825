/** Compresses large answers of a local server. In Cloudflare's network the edge does it. */

/** From how many characters an answer is large. Below, the time to compress is longer than the time that it saves. */
const LARGE = 400_000;

const large = new WeakSet<Response>();

/** Remembers whether a response is large, by the characters of its body; infinite for a body that is a stream. */
export function markLarge(response: Response, characters: number, from = LARGE): Response {
  if (characters >= from) large.add(response);
  return response;
}

/** Makes the runtime compress a large response, if the client takes gzip. */
export function compress(request: Request, response: Response): Response {
  if (!large.has(response)) return response;
  response.headers.append("vary", "Accept-Encoding");
  // workerd compresses the body of a response that has this header.
  if (takesGzip(request.headers.get("accept-encoding") ?? "")) response.headers.set("content-encoding", "gzip");
  return response;
}

function takesGzip(header: string): boolean {
  return header.split(",").some((one) => /^\s*(gzip|x-gzip|\*)\s*(;\s*q=(?!0(\.0*)?\s*$).*)?$/i.test(one));
}
