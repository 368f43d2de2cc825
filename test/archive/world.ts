/** Bundles, and the archive of the tests. */
import { env } from "cloudflare:test";
import { Buffer } from "node:buffer";
import fc from "fast-check";
import { type Bundle, type BundleAddress, BundleBuilder, type Entry } from "#archive/bundle";
import { Archive, type OpenPart } from "#archive/store";
import { type Cost, noCost } from "#lib/cost";
import { allOf } from "#lib/portions";

/** A part before it is in a bundle. */
export interface Part {
  header: unknown;
  bytes: Uint8Array;
}

/** R2's bucket of the tests. */
export function r2(): R2Bucket {
  if (!env.ARCHIVE) throw new Error("the tests have no bucket");
  return env.ARCHIVE;
}

/** An archive that does not wait before it repeats a call. */
export function anArchive(bucket: R2Bucket = r2(), cost: Cost = noCost()): Archive {
  return new Archive(bucket, cost, async () => {});
}

export const part = (header: unknown, text: string): Part => ({ header, bytes: Buffer.from(text) });

export function bundleOf(parts: readonly Part[], id: string = crypto.randomUUID()): Bundle {
  const builder = new BundleBuilder();
  for (const { header, bytes } of parts)
    if (!builder.add(header, bytes)) throw new Error("a bundle of a test is too large");
  return builder.build(id);
}

/** A prefix that no other test uses. */
export const aPrefix = () => `${crypto.randomUUID()}/events/2026-11-28T05:00:00Z`;

/** Any parts, some of them empty. */
export const anyParts = fc.array(fc.record({ header: fc.jsonValue(), bytes: fc.uint8Array({ maxLength: 300 }) }), {
  maxLength: 20,
});

/** The parts in a form that can be compared. */
export const shown = (parts: readonly (Part | OpenPart)[]) =>
  parts.map((one) => {
    const content = "bytes" in one ? one.bytes : one.content;
    return [JSON.stringify(one.header), typeof content === "string" ? content : Buffer.from(content).toString("hex")];
  });

/** The entries of a bundle. Throws if the index cannot be read. */
export async function entriesOf(address: BundleAddress, archive: Archive = anArchive()): Promise<readonly Entry[]> {
  const entries = await archive.readIndex(address);
  if (typeof entries === "string") throw new Error(`the index is ${entries}`);
  return entries;
}

/** All parts of a bundle. */
export async function readAll(address: BundleAddress, archive: Archive = anArchive()): Promise<OpenPart[]> {
  return allOf(archive.readParts(address, await entriesOf(address, archive)));
}
