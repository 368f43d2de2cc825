/** Reads the body of a request. Counts the bytes while they arrive, and parses their text as JSON. */
import { InvalidRequest } from "#http/errors";
import { refused } from "#lib/api-error";
import { MAX_JSON_DEPTH, TooDeep } from "#lib/json";
import { jsonProblem } from "#lib/json-problem";

/** The maximum size of a request's body in bytes. A larger body gets a 413. Prefect's client sends at most 4 MB of logs at once. */
export const MAX_BODY_BYTES = 8 * 1024 * 1024;

/** How many bytes of a refused body are read and dropped. A client that sends more may get a connection reset instead of the refusal. */
const MAX_DRAINED_BYTES = 4 * MAX_BODY_BYTES;

/** The largest `content-length` for which memory is reserved: a client may announce many bytes and send none. */
const MAX_AT_ONCE_BYTES = 1024 * 1024;

type Bytes = Uint8Array<ArrayBuffer>;

const sizes = new WeakMap<Request, number>();

/** How many bytes of a request's body were read. */
export function bodySize(request: Request): number {
  return sizes.get(request) ?? 0;
}

/**
 * Reads the whole body on every route: workerd drops the connection if the body of a request was not read. A body in
 * memory has at most `MAX_BODY_BYTES`, even if its `content-length` is wrong. Throws 413 for a larger body.
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
  // One buffer, not a list of chunks: each chunk takes a few kilobytes of memory, even a chunk of one byte.
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
 * Reads a body of a known length in one call, into one buffer. Gives null if that is not possible; then no byte was read. Throws 400 if
 * the body is longer than its `content-length`, which can happen if the body is also sent in chunks.
 */
async function readAtOnce(request: Request): Promise<Bytes | null> {
  const length = Number(request.headers.get("content-length") ?? 0);
  if (!Number.isInteger(length) || length <= 0 || length > MAX_AT_ONCE_BYTES || !request.body) return null;
  const reader = byobOf(request.body);
  if (reader === null) return null;
  // The call requests one byte more than the length, so that it returns only at the end of the body.
  const { value = new Uint8Array() } = await reader.readAtLeast(length + 1, new Uint8Array(length + 1));
  sizes.set(request, value.byteLength);
  if (value.byteLength <= length) return value;
  reader.releaseLock();
  await drainReader(bytesOf(request.body));
  throw refused(400, "The request's body is longer than its content-length says.");
}

/** A reader that writes into our own buffer. Null for a stream without such a reader, for example a stream that a Worker made. */
function byobOf(body: ReadableStream): ReadableStreamBYOBReader | null {
  try {
    return body.getReader({ mode: "byob" });
  } catch {
    return null;
  }
}

/** Reads and drops the rest of a body, so that the client can read the refusal. */
export async function drain(request: Request): Promise<void> {
  if (!request.body || request.bodyUsed) return;
  await drainReader(bytesOf(request.body));
}

/** A body's bytes as text; frees the bytes. Prefect: bytes that are not UTF-8 get a 400, not a 422. */
export function toText(bytes: Bytes): string {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: false }).decode(bytes);
  } catch {
    throw refused(400, "There was an error parsing the body");
  } finally {
    giveBack(bytes);
  }
}

/** Frees a buffer at once. V8 would free the buffer at the next garbage collection, and keeps up to 64 MB of such buffers until then. */
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
    // The client has closed the connection, so no response can be sent.
  }
}

/** A buffer with the same first `size` bytes and space for `more` bytes. */
function withRoom(buffer: Bytes, size: number, more: number): Bytes {
  if (size + more <= buffer.byteLength) return buffer;
  const larger = Math.min(Math.max(size + more, 2 * buffer.byteLength), MAX_BODY_BYTES);
  return new Uint8Array(buffer.buffer.transfer(larger));
}

/** Matches the content types of JSON. */
export const JSON_TYPE = /^\s*application\/(?:[^;\s]+\+)?json\s*(?:;|$)/i;

/**
 * Parses the text of a body with `read`. Throws 422 if the text is not JSON, is nested too deep or has half a surrogate pair. FastAPI:
 * a body with another content type stays a text, so a form of another site changes nothing. A body without a content type is JSON.
 */
export function readJsonBody(text: string, contentType: string | null, read: (json: string) => unknown): unknown {
  if (contentType && !JSON_TYPE.test(contentType)) return text;
  let value: unknown;
  try {
    value = read(text);
  } catch (error) {
    if (error instanceof TooDeep) {
      const loc = ["body", ...error.path];
      const ctx = { max_depth: MAX_JSON_DEPTH };
      // The answer does not repeat the body: a client may fail to parse such deep JSON.
      throw new InvalidRequest([{ type: "json_too_deep", loc, msg: error.message, input: null, ctx }], null);
    }
    const { words, position } = jsonProblem(text);
    const loc = ["body", position];
    throw new InvalidRequest(
      [{ type: "json_invalid", loc, msg: "JSON decode error", input: {}, ctx: { error: words } }],
      text,
    );
  }
  const illFormed = ESCAPED_SURROGATE.test(text) ? illFormedPath(value, []) : null;
  if (illFormed !== null) {
    const msg = "Input should be a valid string, unable to parse raw data as a unicode string";
    throw new InvalidRequest([{ type: "string_unicode", loc: ["body", ...illFormed], msg, input: null }], null);
  }
  return value;
}

/**
 * Matches JSON's escape of half a surrogate pair, which no database stores as text. The escape of a whole pair matches
 * too; `illFormedPath` finds the halves.
 */
const ESCAPED_SURROGATE = /\\u[dD][89a-fA-F]/;

/** The path of the first text with half a surrogate pair in a parsed value; null if there is none. */
function illFormedPath(value: unknown, path: (string | number)[]): (string | number)[] | null {
  if (typeof value === "string") return value.isWellFormed() ? null : path;
  if (typeof value !== "object" || value === null) return null;
  for (const [key, inner] of Object.entries(value)) {
    const here = [...path, Array.isArray(value) ? Number(key) : key];
    const found = key.isWellFormed() ? illFormedPath(inner, here) : path;
    if (found !== null) return found;
  }
  return null;
}
