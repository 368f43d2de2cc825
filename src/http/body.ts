/** Reading a request's body: counted while it comes, and read to an end also where the request is refused. */
import { refused } from "#lib/api-error";

/** The most bytes of a request's body; more is answered by 413. Prefect's client sends at most 4 MB of logs at once. */
export const MAX_BODY_BYTES = 8 * 1024 * 1024;

/** How much of a refused body is read and forgotten. A client that sends more may see a reset instead of the refusal. */
const MAX_DRAINED_BYTES = 4 * MAX_BODY_BYTES;

/** A larger body is read as it comes: a client may announce much and send nothing, on many connections. */
const MAX_AT_ONCE_BYTES = 1024 * 1024;

type Bytes = Uint8Array<ArrayBuffer>;

const sizes = new WeakMap<Request, number>();

/** How many bytes a request's body had, as far as it was read. */
export function bodySize(request: Request): number {
  return sizes.get(request) ?? 0;
}

/**
 * Reads the whole body on every route: workerd drops the connection of a request whose body was not read. A body in memory has
 * at most `MAX_BODY_BYTES`, also if its `content-length` is wrong. Throws 413 for a larger body.
 */
export async function readBody(request: Request): Promise<Bytes> {
  if (!request.body) return new Uint8Array();
  if (Number(request.headers.get("content-length") ?? 0) > MAX_BODY_BYTES) {
    await drain(request);
    throw tooLarge();
  }
  const whole = await readAtOnce(request);
  if (whole !== null) return whole;
  const reader = bytesOf(request.body);
  // One buffer, not a list of chunks: each chunk holds a few kilobytes, even one of a single byte.
  let buffer: Bytes = new Uint8Array();
  let size = 0;
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return buffer.subarray(0, size);
    sizes.set(request, size + value.byteLength);
    if (size + value.byteLength > MAX_BODY_BYTES) break;
    buffer = withRoom(buffer, size, value.byteLength);
    buffer.set(value, size);
    size += value.byteLength;
  }
  giveBack(buffer);
  await drainReader(reader);
  throw tooLarge();
}

/**
 * Reads a body of a known length in one call, into a buffer of just that size; null where it cannot be, and then nothing of it
 * was read. Throws 400 where the body goes on after its length, as one that is sent in chunks as well may.
 */
async function readAtOnce(request: Request): Promise<Bytes | null> {
  const length = Number(request.headers.get("content-length") ?? 0);
  if (!Number.isInteger(length) || length <= 0 || length > MAX_AT_ONCE_BYTES || !request.body) return null;
  const reader = byobOf(request.body);
  if (reader === null) return null;
  // One byte more than there should be, so that the end of the body ends the call as well.
  const { value = new Uint8Array() } = await reader.readAtLeast(length + 1, new Uint8Array(length + 1));
  sizes.set(request, value.byteLength);
  if (value.byteLength <= length) return value;
  reader.releaseLock();
  await drainReader(bytesOf(request.body));
  throw refused(400, "The request's body is longer than its content-length says.");
}

/** A reader into buffers of our own; streams that a Worker made itself may have none. */
function byobOf(body: ReadableStream): ReadableStreamBYOBReader | null {
  try {
    return body.getReader({ mode: "byob" });
  } catch {
    return null;
  }
}

/** Reads and forgets what is left of a body, so that the client can read the refusal. */
export async function drain(request: Request): Promise<void> {
  if (!request.body || request.bodyUsed) return;
  await drainReader(bytesOf(request.body));
}

/** A body's bytes as text; the bytes are gone then. Prefect: bytes that are no UTF-8 are answered by 400, not by 422. */
export function toText(bytes: Bytes): string {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: false }).decode(bytes);
  } catch {
    throw refused(400, "There was an error parsing the body");
  } finally {
    giveBack(bytes);
  }
}

/** Frees a buffer at once. Otherwise it waits for a collection of garbage, and V8 lets 64 MB of such wait. */
function giveBack(bytes: Bytes): void {
  bytes.buffer.transfer(0);
}

type Reader = ReadableStreamDefaultReader<Uint8Array>;

function bytesOf(body: ReadableStream): Reader {
  return (body as ReadableStream<Uint8Array>).getReader();
}

function tooLarge() {
  return refused(413, `The request's body is larger than ${MAX_BODY_BYTES} bytes.`);
}

async function drainReader(reader: Reader): Promise<void> {
  try {
    for (let read = 0; read < MAX_DRAINED_BYTES;) {
      const { done, value } = await reader.read();
      if (done) return;
      read += value.byteLength;
    }
    await reader.cancel();
  } catch {
    // The client has closed the connection, so there is no answer to send.
  }
}

/** A buffer with the same first `size` bytes and room for more. */
function withRoom(buffer: Bytes, size: number, more: number): Bytes {
  if (size + more <= buffer.byteLength) return buffer;
  const larger = Math.min(Math.max(size + more, 2 * buffer.byteLength), MAX_BODY_BYTES);
  return new Uint8Array(buffer.buffer.transfer(larger));
}
