/** Answers with a list that may be too long for memory. */
import { log } from "#lib/log";
import type { Portions } from "#lib/portions";

/** A list in portions: a handler gives it in place of the list. */
export class Listing {
  readonly portions: Portions<unknown>;
  readonly around: (list: readonly unknown[]) => unknown;

  /** `around` makes the answer of the list, which must be the first list in the answer. */
  constructor(portions: Portions<unknown>, around: (list: readonly unknown[]) => unknown = (list) => list) {
    this.portions = portions;
    this.around = around;
  }
}

/**
 * The answer to the client. A list of one portion is sent whole. Of more portions the first is read before the answer begins, so
 * that its failure is answered as an error; each other portion is read once the client has taken the portion before. A later
 * failure ends the connection within the list, and no client takes the answer for a whole one.
 */
export async function toListingResponse({ portions, around }: Listing, status: number): Promise<Response> {
  const [only] = portions;
  if (portions.length === 1 && only) return Response.json(around(await only()), { status });
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
  return new Response(stream, { status, headers: { "content-type": "application/json" } });
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
  for (const portion of portions) {
    // One portion after the other, so that only one is held.
    const items = await portion();
    if (items.length === 0) continue;
    yield before + JSON.stringify(items).slice(1, -1);
    before = ",";
  }
  yield before === "," ? frame.slice(start) : frame;
}
