/**
 * Messages that make workers tear down the infrastructure of runs. One worker at a time has a reservation of a message. With the token
 * of the reservation, the worker renews or releases the reservation, or acknowledges the message. All methods are synchronous.
 */
import { parseJson, STORED_JSON_DEPTH } from "#lib/json";
import { type Micros, SECOND } from "#lib/clock";
import { log } from "#lib/log";
import type { Sql } from "#objects/sql";
import type { CleanupKind, CleanupMessage } from "#objects/work-pool/messages";

/** The queue's table. A reserved message has `token`, `holder` and `lease_expires_at`. Each heartbeat uses the index. */
export const CLEANUP_TABLES = `create table cleanup (place integer primary key autoincrement, message_id text not null unique,
     idempotency_key text not null unique, kind text not null, work_queue_id text, target text not null, data text not null,
     delivery_count integer not null, token text, holder text, lease_expires_at integer, ended text, ended_at integer);
   create index cleanup_open on cleanup (place) where ended is null;`;

/** Prefect: PREFECT_SERVER_WORKER_CHANNEL_CLEANUP_LEASE_SECONDS. */
export const LEASE: Micros = 30 * SECOND;
/** Prefect: PREFECT_SERVER_WORKER_CHANNEL_CLEANUP_MAX_DELIVERY_ATTEMPTS. */
export const MAX_DELIVERIES = 3;
/** How long an ended message is kept, so that a repeat of the message is not taken as new. */
const REMEMBERED: Micros = 7 * 86_400 * SECOND;

/** A message on its way to a worker. */
export interface Reservation extends Omit<CleanupMessage, "idempotency_key"> {
  reservation_token: string;
  lease_expires_at: Micros;
  delivery_count: number;
}

/** Which messages a worker may get. */
export interface Wish {
  /** The key of the worker, the same for all its connections. */
  holder: string;
  kinds: readonly CleanupKind[];
  /** Only messages of these queues; null for all. */
  queueIds: readonly string[] | null;
}

/** What a worker may do with its reservation. */
export type Operation = "ack" | "release" | "renew";

/** Why an operation is refused: a status and its reason. Both texts are Prefect's. */
const REFUSALS = {
  not_found: "message_not_found",
  not_current: "no_active_reservation",
  invalid_token: "reservation_token_mismatch",
  expired: "lease_expired",
  dead_lettered: "max_delivery_attempts_reached",
  unauthorized: "cleanup_delivery_not_accepted",
  error: "cleanup_queue_operation_failed",
} as const;

/** The result of an operation. */
export interface Outcome {
  status: "accepted" | keyof typeof REFUSALS;
  reason: string | null;
  /** Only for a renewal. */
  lease_expires_at: Micros | null;
}

/** A message as it is stored. A message has ended if it was acknowledged, or delivered too often. */
interface Row extends Pick<CleanupMessage, "message_id" | "kind" | "work_queue_id"> {
  target: string;
  data: string;
  delivery_count: number;
  token: string | null;
  lease_expires_at: Micros | null;
}

export class CleanupQueue {
  private readonly sql: Sql;
  private readonly newToken: () => string;

  constructor(sql: Sql, newToken: () => string) {
    this.sql = sql;
    this.newToken = newToken;
  }

  /** Stores a message, unless it was stored before. */
  enqueue(message: CleanupMessage, now: Micros): void {
    this.sql.write("delete from cleanup where ended_at <= ?", now - REMEMBERED);
    this.sql.write(
      `insert into cleanup (message_id, idempotency_key, kind, work_queue_id, target, data, delivery_count) values (?, ?, ?, ?, ?, ?, 0)
         on conflict do nothing`,
      message.message_id,
      message.idempotency_key,
      message.kind,
      message.work_queue_id,
      JSON.stringify(message.target),
      JSON.stringify(message.data),
    );
  }

  /** Reserves the oldest message that the worker may get, or returns null. */
  reserve({ holder, kinds, queueIds }: Wish, now: Micros): Reservation | null {
    const token = this.newToken();
    const [row] = this.sql.write(
      `update cleanup set token = ?, holder = ?, lease_expires_at = ?, delivery_count = delivery_count + 1 where place = (
         select place from cleanup where ended is null and token is null and kind in (select value from json_each(?))
         and (? is null or work_queue_id in (select value from json_each(?))) order by place limit 1
       ) returning *`,
      token,
      holder,
      now + LEASE,
      JSON.stringify(kinds),
      queueIds === null ? null : 1,
      JSON.stringify(queueIds ?? []),
    );
    if (!row) return null;
    // Only `enqueue` writes this row.
    const { message_id, kind, work_queue_id, target, data, delivery_count } = row as unknown as Row;
    return {
      message_id,
      kind,
      reservation_token: token,
      lease_expires_at: now + LEASE,
      delivery_count,
      work_queue_id,
      target: parseJson(target, STORED_JSON_DEPTH) as Record<string, unknown>,
      data: parseJson(data, STORED_JSON_DEPTH) as Record<string, unknown>,
    };
  }

  /** Does the operation that a worker asks for with its token. An expired lease does not count, even before its timer has fired. */
  operate(operation: Operation, messageId: string, token: string, now: Micros): Outcome {
    const [row] = this.sql.rows<Row>("cleanup where message_id = ? and ended is null", messageId);
    if (!row) return refusal("not_found");
    if (row.token === null) return refusal("not_current");
    if (row.token !== token) return refusal("invalid_token");
    if ((row.lease_expires_at ?? 0) <= now) return refusal(this.giveBack(row, now) ? "expired" : "dead_lettered");
    switch (operation) {
      case "ack":
        this.unreserve(messageId, { ended: "acknowledged", at: now });
        return ACCEPTED;
      case "release":
        return this.giveBack(row, now) ? ACCEPTED : refusal("dead_lettered");
      case "renew":
        this.sql.write("update cleanup set lease_expires_at = ? where message_id = ?", now + LEASE, messageId);
        return { ...ACCEPTED, lease_expires_at: now + LEASE };
      default:
        return operation satisfies never;
    }
  }

  /** Ends the reservations that were not acknowledged in time. */
  expire(now: Micros): void {
    const expired = "cleanup where ended is null and token is not null and lease_expires_at <= ? order by place";
    for (const row of this.sql.rows<Row>(expired, now)) this.giveBack(row, now);
  }

  /** When the next reservation expires, or null. */
  nextExpiry(): Micros | null {
    const [first] = this.sql.read<{ at: Micros | null }>(
      "select min(lease_expires_at) as at from cleanup where ended is null and token is not null",
    );
    return first?.at ?? null;
  }

  /** How many messages are reserved for a worker. */
  inHand(holder: string, now: Micros): number {
    const [row] = this.sql.read<{ count: number }>(
      "select count(*) as count from cleanup where ended is null and holder = ? and lease_expires_at > ?",
      holder,
      now,
    );
    return row?.count ?? 0;
  }

  /** Whether any message waits for a worker. */
  hasWaiting(): boolean {
    return this.sql.read("select 1 from cleanup where ended is null and token is null limit 1").length > 0;
  }

  /** Ends the reservation of a message. False if the message was delivered too often: then the message has ended, too. */
  private giveBack({ message_id, delivery_count, kind }: Row, now: Micros): boolean {
    const isTooOften = delivery_count >= MAX_DELIVERIES;
    const fields = { message_id, kind, delivery_count };
    if (isTooOften) log({}, "warn", "a cleanup message was delivered too often and is given up", fields);
    this.unreserve(message_id, isTooOften ? { ended: REFUSALS.dead_lettered, at: now } : null);
    return !isTooOften;
  }

  private unreserve(messageId: string, end: { ended: string; at: Micros } | null): void {
    this.sql.write(
      "update cleanup set token = null, holder = null, lease_expires_at = null, ended = ?, ended_at = ? where message_id = ?",
      end?.ended ?? null,
      end?.at ?? null,
      messageId,
    );
  }
}

const ACCEPTED: Outcome = { status: "accepted", reason: null, lease_expires_at: null };

/** The outcome of an operation that is refused. */
export function refusal(status: keyof typeof REFUSALS): Outcome {
  return { status, reason: REFUSALS[status], lease_expires_at: null };
}
