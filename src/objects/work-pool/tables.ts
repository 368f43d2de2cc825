/** The tables of a pool's object. The names in them stay as they are, for there is data in them. */
import { CLEANUP_TABLES } from "#objects/work-pool/channel/cleanup-queue";

/** One entry a version; entries are never changed once they have shipped. A row of `edge` is a status change. */
export const POOL_TABLES: readonly string[] = [
  `create table pool (id text primary key, type text not null, is_paused integer not null, concurrency_limit integer,
     status text not null, grace_until integer not null) without rowid;
   create table queue (id text primary key, name text not null, is_paused integer not null, is_status_paused integer not null,
     concurrency_limit integer, priority integer not null, status text not null, last_polled integer, ready_until integer not null,
     is_unmarked integer not null) without rowid;
   create table run (id text primary key, queue_id text not null, due integer, is_cancelling integer not null) without rowid;
   create table worker (name text primary key, id text not null, created integer not null, last_heartbeat integer not null,
     interval_seconds integer) without rowid;
   create table edge (subject text primary key, status text not null, event_id text not null, at integer not null) without rowid;`,
  `alter table run drop column is_cancelling;
   alter table run add column reserved_until integer;
   alter table run add column is_late integer not null default 0;`,
  CLEANUP_TABLES,
];
