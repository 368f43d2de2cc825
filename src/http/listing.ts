/** Answers that are lists, or pages with one, of which not all may be held at once. */
import { log } from "#lib/log";
import type { Portions } from "#lib/portions";

/** What a handler answers with instead of such a list. */
export class Listing {
  readonly portions: Portions<unknown>;
  readonly around: (list: readonly unknown[]) => unknown;

  /** `around` puts the list where it belongs in the answer, as the first list of it. */
  constructor(portions: Portions<unknown>, around: (list: readonly unknown[]) => unknown = (list) => list) {
    this.portions = portions;
    this.around = around;
  }
}

/**
 * The answer. One portion is answered at once. Of several, the first is read before the answer begins, and each other one when the
 * client has taken the one before; should that fail, the answer breaks off, which no client takes for a whole one.
 */
export async function toListingResponse({ portions, around }: Listing, init: ResponseInit): Promise<Response> {
  const [only] = portions;
  if (portions.length === 1 && only) return Response.json(around(await only()), init);
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
  const headers = new Headers(init.headers);
  headers.set("content-type", "application/json");
  return new Response(stream, { ...init, headers });
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
    // One after the other, so that only one is held.
    const items = await portion();
    if (items.length === 0) continue;
    yield before + JSON.stringify(items).slice(1, -1);
    before = ",";
  }
  yield before === "," ? frame.slice(start) : frame;
}
