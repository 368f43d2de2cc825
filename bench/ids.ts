/** Ids and times as the stock client makes them. */
import { randomBytes, randomUUID } from "node:crypto";

/** A UUIDv7, which the stock client gives to events, states and task runs. */
export function uuid7(milliseconds: number = Date.now()): string {
  const bytes = randomBytes(16);
  bytes.writeUIntBE(milliseconds, 0, 6);
  bytes.writeUInt8(0x70 | (bytes.readUInt8(6) & 0x0f), 6);
  bytes.writeUInt8(0x80 | (bytes.readUInt8(8) & 0x3f), 8);
  const hex = bytes.toString("hex");
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join("-");
}

export function uuid4(): string {
  return randomUUID();
}

/** UTC with six decimals and `Z`, as on the wire. */
export function wireTime(milliseconds: number = Date.now()): string {
  return new Date(milliseconds).toISOString().replace("Z", "000Z");
}
