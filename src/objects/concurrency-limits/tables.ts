/** The ledger's rows in the object's own tables. */
import type { Micros } from "#lib/clock";
import type { LedgerStore, Unleased } from "#objects/concurrency-limits/ledger";
import type { Holder, Lease, SlotReservation } from "#objects/concurrency-limits/messages";
import type { Sql, SqlRow } from "#objects/sql";

/** The object's tables; entries are never changed once they have shipped. A lease is one row, however many limits it is on. */
export const LEDGER_TABLES: readonly string[] = [
  `create table lease (id text primary key, created integer not null, expires integer, holder_type text, holder_id text,
     slots integer not null, holds text not null) without rowid;
   create table loose (limit_id text primary key, slots real not null, at integer not null, decay real not null) without rowid;`,
];

interface LeaseRow extends SqlRow {
  id: string;
  created: Micros;
  expires: Micros | null;
  holder_type: string | null;
  holder_id: string | null;
  slots: number;
  holds: string;
}

interface UnleasedRow extends SqlRow {
  limit_id: string;
  slots: number;
  at: Micros;
  decay: number;
}

/** A reservation as it is written: limit, slots, whether they decay. */
type ReservationText = [string, number, 0 | 1];

/** A ledger's store in SQL. */
export function ledgerTables(sql: Sql): LedgerStore {
  return {
    leases: () => sql.read<LeaseRow>("select * from lease").map(readLease),
    putLease: (lease) =>
      sql.write(
        `insert into lease (id, created, expires, holder_type, holder_id, slots, holds) values (?, ?, ?, ?, ?, ?, ?)
         on conflict (id) do update set expires = excluded.expires, holder_type = excluded.holder_type,
           holder_id = excluded.holder_id, holds = excluded.holds`,
        lease.id,
        lease.created,
        lease.expires,
        lease.holder?.type ?? null,
        lease.holder?.id ?? null,
        lease.slots,
        JSON.stringify(lease.reservations.map(reservationText)),
      ),
    deleteLease: (id) => sql.write("delete from lease where id = ?", id),
    unleased: (): Unleased[] => sql.read<UnleasedRow>("select * from loose"),
    putUnleased: ({ limit_id, slots, at, decay }) =>
      sql.write(
        `insert into loose (limit_id, slots, at, decay) values (?, ?, ?, ?)
         on conflict (limit_id) do update set slots = excluded.slots, at = excluded.at, decay = excluded.decay`,
        limit_id,
        slots,
        at,
        decay,
      ),
    deleteUnleased: (limitId) => sql.write("delete from loose where limit_id = ?", limitId),
  };
}

const reservationText = ({ limit_id, slots, decays }: SlotReservation): ReservationText => [
  limit_id,
  slots,
  decays ? 1 : 0,
];

function readLease(row: LeaseRow): Lease {
  return {
    id: row.id,
    created: row.created,
    expires: row.expires,
    holder: readHolder(row),
    slots: row.slots,
    // Written by `reservationText` alone.
    reservations: (JSON.parse(row.holds) as ReservationText[]).map(([limit_id, slots, decays]) => ({
      limit_id,
      slots,
      decays: decays === 1,
    })),
  };
}

function readHolder({ holder_type: type, holder_id: id }: LeaseRow): Holder | null {
  if (id === null || (type !== "flow_run" && type !== "task_run" && type !== "deployment")) return null;
  return { type, id };
}
