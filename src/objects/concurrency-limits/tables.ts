/** The ledger's rows in the object's own tables. */
import type { LedgerStore, Unleased } from "#objects/concurrency-limits/ledger";
import type { Holder, Lease } from "#objects/concurrency-limits/messages";
import type { Sql } from "#objects/sql";

/** The object's tables. An entry never changes after it has shipped. A lease is one row, even if it is on several limits. */
export const LEDGER_TABLES: readonly string[] = [
  `create table lease (id text primary key, created integer not null, expires integer, holder_type text, holder_id text,
     slots integer not null, holds text not null) without rowid;
   create table loose (limit_id text primary key, slots real not null, at integer not null, decay real not null) without rowid;`,
];

/** A reservation as it is stored: limit, slots, whether the slots decay. */
type ReservationText = [string, number, 0 | 1];

interface LeaseRow extends Omit<Lease, "holder" | "reservations"> {
  holder_type: Holder["type"] | null;
  holder_id: string | null;
  /** The reservations as JSON. */
  holds: string;
}

/** A ledger's store in SQL. */
export function ledgerTables(sql: Sql): LedgerStore {
  return {
    leases: () => sql.rows<LeaseRow>("lease").map(readLease),
    putLease: (lease) => sql.put("lease", "id", leaseRow(lease)),
    deleteLease: (id) => sql.write("delete from lease where id = ?", id),
    unleased: () => sql.rows<Unleased>("loose"),
    putUnleased: (row) => sql.put("loose", "limit_id", row),
    deleteUnleased: (limitId) => sql.write("delete from loose where limit_id = ?", limitId),
  };
}

function leaseRow({ id, created, expires, holder, slots, reservations }: Lease): LeaseRow {
  const texts = reservations.map((each): ReservationText => [each.limit_id, each.slots, each.decays ? 1 : 0]);
  const [holder_type, holder_id] = [holder?.type ?? null, holder?.id ?? null];
  return { id, created, expires, holder_type, holder_id, slots, holds: JSON.stringify(texts) };
}

function readLease({ holder_type: type, holder_id, holds, ...row }: LeaseRow): Lease {
  const holder = type === null || holder_id === null ? null : { type, id: holder_id };
  // Only `leaseRow` writes this column.
  const texts = JSON.parse(holds) as ReservationText[];
  return {
    ...row,
    holder,
    reservations: texts.map(([limit_id, slots, decays]) => ({ limit_id, slots, decays: decays === 1 })),
  };
}
