/** Finds texts in everything that a server has written: the files of its folder, the rows of its databases, its output. */
import { Buffer } from "node:buffer";
import { copyFileSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { gunzipSync, inflateRawSync, inflateSync } from "node:zlib";
import { FIRST_DICTIONARY } from "../../../src/db/packed-dictionary.ts";

/** A piece of what was written, and where it is. */
interface Piece {
  place: string;
  bytes: Buffer;
}

/** The forms of a text: plain, as UTF-16, in hexadecimal digits, and in base64 at each of the three places of its first byte. */
function formsOf(text: string): Buffer[] {
  const plain = Buffer.from(text);
  const hex = plain.toString("hex");
  const base64 = [0, 1, 2].map((before) => {
    const digits = Buffer.concat([Buffer.alloc(before), plain]).toString("base64url");
    // The first and the last digits also have bits of the bytes around the text.
    return digits.slice(before === 0 ? 0 : before + 1, Math.floor((8 * (before + plain.length)) / 6));
  });
  const plus = base64.map((digits) => digits.replaceAll("-", "+").replaceAll("_", "/"));
  return [
    plain,
    Buffer.from(text, "utf16le"),
    ...[hex, hex.toUpperCase(), ...base64, ...plus].map((one) => Buffer.from(one)),
  ];
}

/** The places that have one of the texts in any form. `output` is what the server has printed. */
export function tracesOf(texts: readonly string[], folder: string, output: string): string[] {
  const forms = texts.flatMap((text) => formsOf(text));
  const pieces = [...piecesIn(folder), { place: "output", bytes: Buffer.from(output) }];
  const found = pieces.filter((piece) => readings(piece).some((one) => forms.some((form) => one.includes(form))));
  return found.map(({ place }) => place);
}

/** All files of a folder as bytes, and all values of the SQLite databases among them. */
function piecesIn(folder: string): Piece[] {
  const files = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  return files.flatMap(({ parentPath, name }) => {
    const path = join(parentPath, name);
    const place = path.slice(folder.length + 1);
    return [{ place, bytes: readFileSync(path) }, ...(name.endsWith(".sqlite") ? valuesIn(path, place) : [])];
  });
}

/** All values of all rows of all tables. */
function valuesIn(path: string, place: string): Piece[] {
  const scratch = mkdtempSync(join(tmpdir(), "sluice-rows-"));
  try {
    const copy = join(scratch, basename(path));
    for (const end of ["", "-wal"]) if (existsSync(path + end)) copyFileSync(path + end, copy + end);
    const database = new DatabaseSync(copy);
    const tables = database.prepare("select name from sqlite_schema where type = 'table'").all();
    const pieces = tables.flatMap(({ name }) => {
      const statement = database.prepare(`select * from "${String(name)}"`);
      statement.setReadBigInts(true);
      const values = statement.all().flatMap((row) => Object.entries(row));
      return values.map(([column, value]) => ({ place: `${place} ${String(name)}.${column}`, bytes: bytesOf(value) }));
    });
    database.close();
    return pieces;
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

const bytesOf = (value: unknown): Buffer =>
  value instanceof Uint8Array ? Buffer.from(value) : Buffer.from(String(value));

const dictionary = Buffer.from(FIRST_DICTIONARY);
/** The marks before packed values: of `db/packed.ts`, of gzip and of zlib. */
const PACKERS: readonly [mark: Buffer, open: (bytes: Buffer) => Buffer][] = [
  [Buffer.of(0), (bytes) => inflateRawSync(bytes.subarray(1), { dictionary })],
  [Buffer.of(0x1f, 0x8b), (bytes) => gunzipSync(bytes)],
  [Buffer.of(0x78), (bytes) => inflateSync(bytes)],
];

/** The bytes, and what is packed in them: at the beginning, and in an object of the archive at any place. */
function readings({ place, bytes }: Piece): Buffer[] {
  const opened = PACKERS.flatMap(([mark, open]) =>
    placesOf(mark, bytes, place.startsWith("r2") && place.includes("blobs")).flatMap((at) => {
      try {
        return [open(bytes.subarray(at))];
      } catch {
        // It is no packed value.
        return [];
      }
    }),
  );
  return [bytes, ...opened];
}

function placesOf(mark: Buffer, bytes: Buffer, isSearched: boolean): number[] {
  const places: number[] = [];
  const last = isSearched ? bytes.length : 0;
  for (let at = bytes.indexOf(mark); at >= 0 && at <= last; at = bytes.indexOf(mark, at + 1)) places.push(at);
  return places;
}
