/**
 * Cloudflare's list prices on the Workers Paid plan, in US dollars, without the included amounts and without the
 * monthly $5. As published in November 2026 on the pricing pages of developers.cloudflare.com:
 * workers/platform/pricing, d1/platform/pricing, durable-objects/platform/pricing, queues/platform/pricing, r2/pricing.
 */
export const PRICES = {
  /** Per Worker request. A WebSocket is one request, at its upgrade; calls from Worker to object are not requests. */
  workerRequest: 0.3 / 1e6,
  /** Per millisecond of CPU time. */
  cpuMillisecond: 0.02 / 1e6,
  /** Per row read by D1. */
  d1RowRead: 0.001 / 1e6,
  /** Per row written by D1. Each index entry that is changed is a row. */
  d1RowWritten: 1 / 1e6,
  /** Per request to a Durable Object: a call, an upgrade, or 20 incoming WebSocket messages. */
  objectRequest: 0.15 / 1e6,
  /** Per GB-second of an object's duration. */
  objectGigabyteSecond: 12.5 / 1e6,
  /** Per row written by an object's SQLite storage. */
  objectRowWritten: 1 / 1e6,
  /** Per queue operation. A message of up to 64 KB is written, read and deleted. */
  queueOperation: 0.4 / 1e6,
  /** Per write or list of R2's objects (class A). */
  r2ClassA: 4.5 / 1e6,
  /** Per read of an object of R2 (class B). Deletions are free. */
  r2ClassB: 0.36 / 1e6,
  /** Per GB that D1 stores for a month. */
  d1GigabyteMonth: 0.75,
  /** Per GB that R2's Standard storage stores for a month, which is 30 days. */
  r2GigabyteMonth: 0.015,
} as const;

export const BYTES_PER_GIGABYTE = 1e9;

/** How many incoming WebSocket messages are billed as one request to a Durable Object. */
export const SOCKET_MESSAGES_PER_OBJECT_REQUEST = 20;

/** How many operations are billed for a message that is consumed at its first delivery. */
export const OPERATIONS_PER_QUEUE_MESSAGE = 3;

/** The memory in GB for which an awake object is billed, whatever it uses. */
export const OBJECT_GIGABYTES = 0.128;

/** Measured in workerd with deflate at level 6 (docs/decisions/0019): milliseconds of CPU to pack a byte of JSON. */
export const CPU_MS_PER_PACKED_BYTE = 20 / 2.7e6;

/** Assumed, because it cannot be measured locally: the CPU time of a request. */
export const ASSUMED_CPU_MS_PER_REQUEST = 2;

/** Assumed, because it cannot be measured locally: the wall time for which a call keeps an object awake. */
export const ASSUMED_OBJECT_MS_PER_CALL = 5;
