/** Calls R2, counts the calls, and repeats those that failed for a passing reason. */
import { Buffer } from "node:buffer";
import { ApiError } from "#lib/api-error";
import { type Cost, spend } from "#lib/cost";
import { log } from "#lib/log";

/** R2 cannot be used now. The data may be there. A client gets 503 and asks again. */
export class ArchiveUnreachable extends ApiError {
  constructor(cause: unknown) {
    super(503, { exception_message: "The archive cannot be reached." }, { "Retry-After": "5" });
    this.cause = cause;
  }
}

/** Bytes of an object, and the size of the whole object. */
export interface Excerpt {
  bytes: Uint8Array;
  size: number;
}

/** An object in a list. */
export interface Listed {
  key: string;
  /** When the object was written, in milliseconds. */
  uploaded: number;
}

const TRIES = 3;
/** How long the first repeat waits. Each further repeat waits four times as long. */
const FIRST_WAIT_MS = 100;
/** How many objects R2 lists or deletes at once. */
const MAX_KEYS = 1_000;
/** The code at the end of R2's messages: https://developers.cloudflare.com/r2/api/error-codes. */
const CODE = /\((\d+)\)$/;
/**
 * The codes of failures that pass: unspecified, InternalError, IncompleteBody, BadDigest, ServiceUnavailable, ClientDisconnect,
 * TooManyRequests. A message without a code is that of a lost connection.
 */
const PASSING = new Set(["0", "10001", "10013", "10037", "10043", "10054", "10058"]);

function isPassing(error: unknown): boolean {
  const code = error instanceof Error ? CODE.exec(error.message)?.[1] : undefined;
  return code === undefined || PASSING.has(code);
}

/** A bucket of R2. All methods throw `ArchiveUnreachable` if R2 does not do its work. */
export class Bucket {
  private readonly r2: R2Bucket;
  private readonly cost: Cost;
  private readonly wait: (milliseconds: number) => Promise<void>;

  constructor(r2: R2Bucket, cost: Cost, wait = (milliseconds: number) => scheduler.wait(milliseconds)) {
    this.r2 = r2;
    this.cost = cost;
    this.wait = wait;
  }

  /** Writes an object. Returns when R2 has said that the object is there with this size and digest. */
  async put(key: string, bytes: Uint8Array, sha256: Uint8Array): Promise<void> {
    await this.repeat(`put ${key}`, async () => {
      spend(this.cost, { r2_class_a: 1 });
      // R2 refuses bytes that have another digest.
      await this.r2.put(key, bytes, { sha256 });
      spend(this.cost, { r2_class_b: 1 });
      const there = await this.r2.head(key);
      const written = there?.checksums.sha256;
      if (there?.size !== bytes.length || written === undefined || !Buffer.from(written).equals(sha256))
        throw new Error("the written object is not there");
    });
  }

  /** Reads bytes of an object; fewer if it ends before. Null if there is no such object. */
  async get(key: string, offset: number, length: number): Promise<Excerpt | null> {
    return this.repeat(`get ${key}`, async () => {
      spend(this.cost, { r2_class_b: 1 });
      const object = await this.r2.get(key, { range: { offset, length } });
      return object && { bytes: new Uint8Array(await object.arrayBuffer()), size: object.size };
    });
  }

  /** The size of an object. Null if there is no such object. */
  async size(key: string): Promise<number | null> {
    return this.repeat(`head ${key}`, async () => {
      spend(this.cost, { r2_class_b: 1 });
      return (await this.r2.head(key))?.size ?? null;
    });
  }

  /** Deletes objects. A key without an object is no failure. */
  async delete(keys: readonly string[]): Promise<void> {
    for (let first = 0; first < keys.length; first += MAX_KEYS) {
      const some = keys.slice(first, first + MAX_KEYS);
      await this.repeat(`delete ${some[0]}`, () => this.r2.delete(some));
    }
  }

  /** A page of the objects whose keys begin with `prefix` and come after `after`, in the order of the keys. */
  async list(prefix: string, after: string, limit = MAX_KEYS): Promise<{ objects: Listed[]; isLast: boolean }> {
    return this.repeat(`list ${prefix}`, async () => {
      spend(this.cost, { r2_class_a: 1 });
      const page = await this.r2.list({ prefix, limit, ...(after !== "" && { startAfter: after }) });
      const objects = page.objects.map(({ key, uploaded }) => ({ key, uploaded: uploaded.getTime() }));
      return { objects, isLast: !page.truncated };
    });
  }

  private async repeat<T>(what: string, attempt: () => Promise<T>): Promise<T> {
    for (let tries = 1; ; tries++) {
      try {
        return await attempt();
      } catch (error) {
        // An argument that R2's binding refuses is a bug.
        if (error instanceof TypeError) throw error;
        if (tries >= TRIES || !isPassing(error)) {
          log({}, "error", "the archive cannot be reached", { what, error });
          throw new ArchiveUnreachable(error);
        }
      }
      await this.wait(FIRST_WAIT_MS * 4 ** (tries - 1));
    }
  }
}
