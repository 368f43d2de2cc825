/** Failures of R2 and deaths of the process at each call. */
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { ArchiveUnreachable } from "#archive/bucket";
import { Archive } from "#archive/store";
import { type Fault, faultyBucket, UNAVAILABLE } from "../support/faulty-bucket";
import { toResponse } from "#http/errors";
import { noCost } from "#lib/cost";
import { allOf } from "#lib/portions";
import { anArchive, aPrefix, bundleOf, entriesOf, part, r2, readAll, shown } from "./world";

beforeEach(() => void vi.spyOn(console, "error").mockImplementation(() => {}));
afterEach(() => void vi.restoreAllMocks());

const PARTS = [part({ n: 1 }, "one"), part({ n: 2 }, "two")];

/** Fails a call, or all calls from this one on. */
const failsAt =
  (at: number, fault: Fault, { staysDown = false } = {}) =>
  (index: number): Fault => {
    if (index === at) return fault;
    return staysDown && index > at ? "before" : "none";
  };

/** Each call of a write (`put`, `head`), and the two ways in which it fails. */
const CALLS = [0, 1].flatMap((at) => (["before", "after"] as const).map((fault) => ({ at, fault })));

test.for(CALLS)(
  "a process that dies $fault call $at of a write leaves the whole object or nothing",
  async ({ at, fault }) => {
    const prefix = aPrefix();
    const bundle = bundleOf(PARTS);
    const dying = faultyBucket(r2(), failsAt(at, fault, { staysDown: true }));
    await expect(anArchive(dying.bucket).write(prefix, bundle)).rejects.toThrow(ArchiveUnreachable);
    const { keys } = await anArchive().listOlder(prefix, 9e18);
    expect(keys).toHaveLength(at === 0 && fault === "before" ? 0 : 1);
    // The next process begins anew: with the same bundle, or with a new one of the same parts.
    const again = await anArchive().write(prefix, bundle);
    expect((await anArchive().listOlder(prefix, 9e18)).keys).toEqual([again.key]);
    const anew = await anArchive().write(prefix, bundleOf(PARTS));
    expect(anew.key).not.toBe(again.key);
    await anArchive().delete([again.key]);
    expect(shown(await readAll(anew))).toEqual(shown(PARTS));
  },
);

test.for(CALLS)("a write whose call $at fails once, $fault it was carried out, is repeated", async ({ at, fault }) => {
  const prefix = aPrefix();
  const { bucket } = faultyBucket(r2(), failsAt(at, fault));
  const address = await anArchive(bucket).write(prefix, bundleOf(PARTS));
  expect(shown(await readAll(address))).toEqual(shown(PARTS));
  expect((await anArchive().listOlder(prefix, 9e18)).keys).toEqual([address.key]);
});

test("a write is not believed while the object is not there, or is another", async () => {
  const lost = new Proxy(r2(), {
    get: (target, name) =>
      name === "put" ? async () => null : (Reflect.get(target, name) as () => unknown).bind(target),
  });
  await expect(anArchive(lost).write(aPrefix(), bundleOf(PARTS))).rejects.toThrow(ArchiveUnreachable);
  const other = new Proxy(r2(), {
    get: (target, name) =>
      name === "put"
        ? (key: string, bytes: Uint8Array) =>
            target.put(
              key,
              bytes.map((byte) => byte ^ 1),
            )
        : (Reflect.get(target, name) as () => unknown).bind(target),
  });
  await expect(anArchive(other).write(aPrefix(), bundleOf(PARTS))).rejects.toThrow(ArchiveUnreachable);
});

test("bytes that change on their way to R2 are not written", async () => {
  const prefix = aPrefix();
  const bundle = bundleOf(PARTS);
  const changed = { ...bundle, bytes: bundle.bytes.map((byte) => byte ^ 1) };
  await expect(anArchive().write(prefix, changed)).rejects.toThrow(ArchiveUnreachable);
  expect((await anArchive().listOlder(prefix, 9e18)).keys).toEqual([]);
});

test("two writers at once do not overwrite each other, and one bundle may be written twice at once", async () => {
  const prefix = aPrefix();
  const [one, other] = [bundleOf(PARTS), bundleOf(PARTS)];
  const written = await Promise.all([one, other, one].map((bundle) => anArchive().write(prefix, bundle)));
  expect(written[0]).toEqual(written[2]);
  const keys = [...new Set(written.map(({ key }) => key))];
  expect(keys).toHaveLength(2);
  expect((await anArchive().listOlder(prefix, 9e18)).keys).toEqual(keys.toSorted());
  // The writer that was too late removes its own object.
  await anArchive().delete([written[1]?.key ?? ""]);
  for (const address of [written[0], written[2]])
    if (address) expect(shown(await readAll(address))).toEqual(shown(PARTS));
});

/** The calls of a reader: the index and its bytes, then the parts and their bytes. */
const READS = [0, 1, 2, 3].flatMap((at) => (["before", "after"] as const).map((fault) => ({ at, fault })));

test.for(READS)("a read whose call $at fails once, $fault it was carried out, is repeated", async ({ at, fault }) => {
  const address = await anArchive().write(aPrefix(), bundleOf(PARTS));
  const { bucket } = faultyBucket(r2(), failsAt(at, fault));
  expect(shown(await readAll(address, anArchive(bucket)))).toEqual(shown(PARTS));
});

test.for([[["get"]], [["body"]], [["get", "head"]]])(
  "while R2 does not answer %j, nothing is missing or damaged",
  async ([calls]) => {
    const address = await anArchive().write(aPrefix(), bundleOf(PARTS));
    const down = anArchive(faultyBucket(r2(), (_, call) => (calls?.includes(call) ? "before" : "none")).bucket);
    await expect(down.readIndex(address)).rejects.toThrow(ArchiveUnreachable);
    const entries = await entriesOf(address);
    await expect(allOf(down.readParts(address, entries))).rejects.toThrow(ArchiveUnreachable);
    expect(shown(await readAll(address))).toEqual(shown(PARTS));
  },
);

test.for([
  ["The requested range is not satisfiable (10039)", 1],
  ["Unspecified error (0)", 3],
] as const)("an object that ends where a range begins is damaged, whatever R2 says: %s", async ([message, tries]) => {
  const address = await anArchive().write(aPrefix(), bundleOf(PARTS));
  await r2().put(address.key, bundleOf(PARTS).bytes.subarray(0, address.index_at));
  const { bucket, calls } = faultyBucket(r2(), (_, call) => (call === "get" ? "before" : "none"), message);
  expect(await anArchive(bucket).readIndex(address)).toBe("damaged");
  expect(calls).toEqual([...Array.from({ length: tries }, () => "get"), "head"]);
});

test("a client is told to ask again while R2 does not answer", async () => {
  const address = await anArchive().write(aPrefix(), bundleOf(PARTS));
  const { bucket, calls } = faultyBucket(r2(), () => "before");
  const error: unknown = await anArchive(bucket)
    .readIndex(address)
    .catch((thrown: unknown) => thrown);
  const response = toResponse(error, "id", 0);
  expect([response.status, response.headers.get("retry-after")]).toEqual([503, "5"]);
  expect(await response.json()).toEqual({ exception_message: "The archive cannot be reached." });
  expect(calls).toEqual(["get", "get", "get", "head", "head", "head"]);
});

test("the repeats wait longer each time", async () => {
  const waits: number[] = [];
  const { bucket } = faultyBucket(r2(), () => "before");
  const archive = new Archive(bucket, noCost(), async (milliseconds) => void waits.push(milliseconds));
  await expect(archive.delete(["k"])).rejects.toThrow(ArchiveUnreachable);
  expect(waits).toEqual([100, 400]);
});

test.for([
  ["The specified bucket does not exist. (10006)", 1],
  ["Account not entitled to this feature. (10042)", 1],
  [UNAVAILABLE, 3],
  ["Rate limit exceeded. (10058)", 3],
  ["Network connection lost.", 3],
] as const)("only a failure that may pass is repeated: %s", async ([message, tries]) => {
  const { bucket, calls } = faultyBucket(r2(), () => "before", message);
  await expect(anArchive(bucket).delete(["k"])).rejects.toThrow(ArchiveUnreachable);
  expect(calls).toHaveLength(tries);
});
