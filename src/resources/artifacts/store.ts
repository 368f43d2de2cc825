/** Artifacts in D1, of one workspace. */
import { type SQL, sql } from "drizzle-orm";
import { deleteArtifact } from "#db/artifacts";
import { codec } from "#db/codec";
import { inPortions, longColumns, rowsInFull, shortenedColumns } from "#db/long-values";
import { shortId, shortWorkspace } from "#db/short/ids";
import { each, laterThan } from "#db/sql";
import { artifact, artifact_collection } from "#db/tables/artifact";
import { WorkspaceStore } from "#db/workspace-store";
import { type ArtifactSort, orderBy } from "#filters/sorts";
import { byteLength } from "#lib/bytes";
import type { Micros } from "#lib/clock";
import type { Portions } from "#lib/portions";

/** A row of the table `artifact`. */
export type ArtifactRow = typeof artifact.$inferSelect;

/** A collection: its latest artifact, with its own id and the time at which it was created. */
export type CollectionRow = ArtifactRow & { collection_id: string; collection_created: Micros };

/** Shows and makes rows of artifacts. */
export const artifacts = codec(artifact, { omit: ["workspace_id"] });

/** The content of an artifact that a PATCH may change. */
const CONTENT = ["description", "data", "metadata_"] as const;
type Content = Partial<Pick<ArtifactRow, (typeof CONTENT)[number]>>;

/** How many bytes an artifact may have. A row of D1 has at most 2 MB. */
export const MAX_ARTIFACT_BYTES = 1_900_000;

/** The columns in which users may store long texts. */
const TEXTS = ["key", "type", ...CONTENT] as const;

/** The number of bytes of the texts of an artifact. */
export const sizeOf = (row: Partial<Pick<ArtifactRow, (typeof TEXTS)[number]>>): number =>
  TEXTS.reduce((sum, name) => sum + byteLength(row[name] ?? ""), 0);

const IN_LIST = shortenedColumns(artifact);

/** How many artifacts of one millisecond may have ids in another order than their times, because several isolates created them. */
const MOST_OF_A_MILLISECOND = 20;

/**
 * Selects a page of artifacts, the last changed first. A part of an index leads to the changed artifacts. The last changed artifact that
 * was never changed again is among the newest. So the page is among the first changed artifacts and the first artifacts by their ids.
 */
export function selectLastChanged(workspaceId: string, where: SQL, limit: number, offset: number): SQL {
  const { id, updated } = artifact;
  const most = limit + offset;
  // The view is not stored anywhere, so each use of the view reads an index. D1 binds 100 values, and the view binds its values once.
  return sql`with wanted as not materialized (select * from ${artifact} where ${where}),
      newest as (select id from wanted order by id desc limit ${most + MOST_OF_A_MILLISECOND}),
      changed as (select id from wanted where updated > created order by updated desc, id desc limit ${most})
    select ${IN_LIST} from ${artifact} where ${artifact.workspace_id} = ${shortWorkspace(workspaceId)}
      and ${id} in (select id from newest union all select id from changed)
    order by ${updated} desc, ${id} desc limit ${limit} offset ${offset}`;
}

const OF_COLLECTION = sql`${artifact_collection.id} as collection_id, ${artifact_collection.created} as collection_created`;
/** A collection has the same workspace and the same key as its latest artifact. */
const IS_LATEST = sql`${artifact.workspace_id} = ${artifact_collection.workspace_id}
  and ${artifact.id} = ${artifact_collection.latest_id} and ${artifact.key} = ${artifact_collection.key}`;

/**
 * Each collection with its latest artifact. SQLite reads the tables in this order: first the collections, or first the artifacts if an
 * index of artifacts leads to few of them.
 */
export const COLLECTIONS = sql`${artifact_collection} cross join ${artifact} on ${IS_LATEST}`;
export const COLLECTIONS_OF_ARTIFACTS = sql`${artifact} cross join ${artifact_collection} on ${IS_LATEST}`;

/** Which collections: conditions from the filters, and whether they lead to few artifacts. */
interface Wanted {
  where: SQL;
  isOfArtifacts: boolean;
}

const wantedOf = ({ where, isOfArtifacts }: Wanted): SQL =>
  sql`${isOfArtifacts ? COLLECTIONS_OF_ARTIFACTS : COLLECTIONS} where ${where}`;

interface Removal {
  removed: boolean;
  next: CollectionRow | null;
  gone: string | null;
}

/** The artifacts of one workspace. */
export class ArtifactStore extends WorkspaceStore {
  /** One artifact, or undefined. */
  async read(id: string): Promise<ArtifactRow | undefined> {
    const [row] = await this.db.rows<ArtifactRow>(sql`select * from ${artifact} where ${this.has(id)}`);
    return row;
  }

  /** The collection with a key, or undefined. */
  async readCollection(key: string): Promise<CollectionRow | undefined> {
    const [row] = await this.db.rows<CollectionRow>(this.selectCollection(key));
    return row;
  }

  /** A page of artifacts. `where` comes from the filters. */
  async list(where: SQL, sort: ArtifactSort, limit: number, offset: number): Promise<Portions<ArtifactRow>> {
    const rows = await this.db.rows<ArtifactRow>(
      sort === "UPDATED_DESC"
        ? selectLastChanged(this.workspaceId, where, limit, offset)
        : sql`select ${IN_LIST} from ${artifact} where ${where}
            order by ${orderBy("artifacts", sort)} limit ${limit} offset ${offset}`,
    );
    return rowsInFull(this.db, artifact, rows, (ids) => this.among(ids));
  }

  /** A page of collections. */
  async listCollections(wanted: Wanted, order: SQL, limit: number, offset: number): Promise<Portions<CollectionRow>> {
    const rows = await this.db.rows<CollectionRow>(
      sql`select ${IN_LIST}, ${OF_COLLECTION} from ${wantedOf(wanted)}
        order by ${order} limit ${limit} offset ${offset}`,
    );
    return inPortions(
      rows,
      longColumns(artifact),
      ({ collection_id: id }) => id,
      (ids) =>
        this.db.rows<CollectionRow>(sql`select ${artifact}.*, ${OF_COLLECTION} from ${COLLECTIONS}
          where ${artifact_collection.workspace_id} = ${shortWorkspace(this.workspaceId)}
            and ${artifact_collection.id} in (select ${shortId(sql`value`)} from ${each(ids)})`),
    );
  }

  /** How many artifacts there are. */
  count(where: SQL): Promise<number> {
    return this.countRows(artifact, where);
  }

  /** How many collections there are. */
  async countCollections(wanted: Wanted): Promise<number> {
    const [row] = await this.db.rows<{ count: number }>(sql`select count(*) as count from ${wantedOf(wanted)}`);
    return row?.count ?? 0;
  }

  /**
   * Writes a new artifact, and makes it the latest of its key. A new collection gets `collectionId`. Returns the collection; undefined for
   * an artifact without a key. A repeat changes nothing.
   */
  async insert(row: ArtifactRow, collectionId: string): Promise<{ id: string; created: Micros } | undefined> {
    const own = shortWorkspace(this.workspaceId);
    const optionalId = (id: string | null) => (id === null ? sql`null` : shortId(id));
    const written = await this.db.repeatable([
      sql`insert into ${artifact}
          (workspace_id, id, created, updated, key, type, description, data, metadata_, flow_run_id, task_run_id)
        values (${own}, ${shortId(row.id)}, ${row.created}, ${row.updated}, ${row.key}, ${row.type}, ${row.description},
          ${row.data}, ${row.metadata_}, ${optionalId(row.flow_run_id)}, ${optionalId(row.task_run_id)})
        on conflict do nothing`,
      ...(row.key === null ? [] : this.putInCollection(row, row.key, collectionId)),
    ]);
    return row.key === null ? undefined : (written.at(-1)?.rows[0] as { id: string; created: Micros } | undefined);
  }

  /** Changes an artifact, unless it would have too many bytes. */
  async update(id: string, content: Content, now: Micros): Promise<"changed" | "missing" | "too large"> {
    const given = CONTENT.filter((name) => content[name] !== undefined);
    const changes = given.map((name) => sql`, ${sql.identifier(name)} = ${content[name]}`);
    const kept = TEXTS.filter((name) => !given.some((one) => one === name));
    const bytes = sql.raw(kept.map((name) => `coalesce(octet_length("${name}"), 0)`).join(" + "));
    const [update, found] = await this.db.batch([
      sql`update ${artifact} set updated = ${laterThan(artifact.updated, now)} ${sql.join(changes)}
        where ${this.has(id)} and ${bytes} + ${sizeOf(content)} <= ${MAX_ARTIFACT_BYTES}`,
      sql`select 1 from ${artifact} where ${this.has(id)}`,
    ]);
    if (update?.changes) return "changed";
    return found?.rows.length ? "too large" : "missing";
  }

  /**
   * Removes an artifact, and gives whether it was there. If it was the latest of its key, `next` is the collection with its new latest
   * artifact, or `gone` is the id of the removed collection.
   */
  async remove(id: string, key: string | null): Promise<Removal> {
    const select = key === null ? [] : [this.selectCollection(key)];
    const [moved, emptied, removed, now] = await this.db.batch([...deleteArtifact(this.workspaceId, id), ...select]);
    const isMoved = (moved?.rows.length ?? 0) > 0;
    const [gone = null] = emptied?.rows ?? [];
    return {
      removed: (removed?.rows.length ?? 0) > 0,
      next: isMoved ? ((now?.rows[0] as CollectionRow | undefined) ?? null) : null,
      gone: gone && String(gone["id"]),
    };
  }

  private putInCollection(row: ArtifactRow, key: string, collectionId: string): SQL[] {
    const own = shortWorkspace(this.workspaceId);
    // A repeat must not undo the work of a newer artifact.
    return [
      sql`insert into ${artifact_collection} (workspace_id, id, key, latest_id, created)
        values (${own}, ${shortId(collectionId)}, ${key}, ${shortId(row.id)}, ${row.created})
        on conflict (workspace_id, key) do update set latest_id = excluded.latest_id where excluded.latest_id > latest_id`,
      sql`select id, created from ${artifact_collection} where workspace_id = ${own} and key = ${key}`,
    ];
  }

  private selectCollection(key: string): SQL {
    return sql`select ${artifact}.*, ${OF_COLLECTION} from ${COLLECTIONS}
      where ${artifact_collection.workspace_id} = ${shortWorkspace(this.workspaceId)} and ${artifact_collection.key} = ${key}`;
  }

  private has(id: string): SQL {
    return sql`workspace_id = ${shortWorkspace(this.workspaceId)} and id = ${shortId(id)}`;
  }

  private among(ids: readonly string[]): SQL {
    return sql`workspace_id = ${shortWorkspace(this.workspaceId)} and id in (select ${shortId(sql`value`)} from ${each(ids)})`;
  }
}
