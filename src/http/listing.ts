/** Sends a list that may be too long for memory. */
import { markLarge } from "#http/compression";
import { log } from "#lib/log";
import type { Portions } from "#lib/portions";
import { Work } from "#lib/work";

/** A list in portions. A handler returns a `Listing` in place of the list. */
export class Listing {
  readonly portions: Portions<unknown>;
  readonly around: (list: readonly unknown[]) => unknown;

  /** `around` makes the body of the response from the list. The list must be the first array in the body. */
  constructor(portions: Portions<unknown>, around: (list: readonly unknown[]) => unknown = (list) => list) {
    this.portions = portions;
    this.around = around;
  }
}

/**
 * The response with the list. A list of one portion is sent whole. Of several portions, the first is read before the response begins,
 * so that its failure gives an error response. Each other portion is read when the client has taken the portion before. A later failure
 * closes the connection inside the list, so no client takes the response for complete.
 */
export async function toListingResponse({ portions, around }: Listing, status: number): Promise<Response> {
  const [only] = portions;
  if (portions.length === 1 && only) return jsonResponse(around(await only()), status);
  const texts = textsOf(portions, JSON.stringify(around([])));
  const bytes = new TextEncoder();
  let first: IteratorResult<string, undefined> | null = await texts.next();
  const stream = new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        const { done, value } = first ?? (await nextOf(texts));
        first = null;
        if (done) controller.close();
        else controller.enqueue(bytes.encode(value));
      },
      async cancel() {
        await texts.return(undefined);
      },
    },
    { highWaterMark: 0 },
  );
  return markLarge(new Response(stream, { status, headers: JSON_HEADERS }), Infinity);
}

const JSON_HEADERS = { "content-type": "application/json" };

/** The response with a value as JSON. */
export function jsonResponse(value: unknown, status: number): Response {
  const text = JSON.stringify(value);
  return markLarge(new Response(text, { status, headers: JSON_HEADERS }), text.length);
}

async function nextOf(texts: AsyncGenerator<string, undefined>): Promise<IteratorResult<string, undefined>> {
  try {
    return await texts.next();
  } catch (error) {
    log({}, "error", "a list breaks off", { error });
    throw error;
  }
}

async function* textsOf(portions: Portions<unknown>, frame: string): AsyncGenerator<string, undefined> {
  const start = frame.indexOf("[]") + 1;
  let before = frame.slice(0, start);
  const work = new Work();
  for (const portion of portions) {
    // Only one portion at a time is in memory.
    const items = await portion();
    if (items.length === 0) continue;
    const text = JSON.stringify(items).slice(1, -1);
    yield before + text;
    before = ",";
    await work.add(text.length);
  }
  yield before === "," ? frame.slice(start) : frame;
}
