/** Versions of deployments in D1. The batch of a change also writes the new version. */
import { type SQL, sql } from "drizzle-orm";
import { isJson, type Shown } from "#db/codec";
import { type Database, readJson } from "#db/database";
import { inPortions, shortened } from "#db/long-values";
import { type DeploymentColumns, deployments } from "#db/rows/deployments";
import { deployment, deployment_version } from "#db/tables/deployment";
import { work_pool, work_queue } from "#db/tables/work-pool";
import { WorkspaceStore } from "#db/workspace-store";
import { sameJson } from "#lib/json-value";
import type { Ids, Micros } from "#lib/clock";
import type { Portions } from "#lib/portions";
import { asObject, list } from "#db/sql";
import { printOptionalTime, printTime } from "#wire/dates";

/** How many versions of a deployment are kept. A change that adds another version removes the oldest version. */
const MOST_VERSIONS = 1000;

/**
 * The content of a deployment: the columns that shape its runs. A function of D1 has at most 32 arguments, and the 16
 * columns are 16 pairs. Contents are compared as texts, so the order of the columns must stay.
 */
const CONTENT_COLUMNS = [
  "version",
  "version_info",
  "description",
  "tags",
  "labels",
  "path",
  "entrypoint",
  "pull_steps",
  "parameters",
  "parameter_openapi_schema",
  "enforce_parameter_schema",
  "job_variables",
  "work_queue_id",
  "work_queue_name",
  "storage_document_id",
  "infrastructure_document_id",
] as const satisfies readonly (keyof DeploymentColumns)[];

type Content = Pick<Shown<typeof deployment>, (typeof CONTENT_COLUMNS)[number]>;

const JSON_COLUMNS: ReadonlySet<string> = new Set(CONTENT_COLUMNS.filter((name) => isJson(deployment[name])));

/** The content of the deployment `d`. The database makes the content from the row. */
const CONTENT = sql.raw(
  `json_object(${CONTENT_COLUMNS.map((name) => `'${name}', ${JSON_COLUMNS.has(name) ? `json(d.${name})` : `d.${name}`}`).join(", ")})`,
);

/** Reads a content. The database stores the content's flag as a number. */
function readContent(text: string): Content {
  const content = readJson<Omit<Content, "enforce_parameter_schema"> & { enforce_parameter_schema: 0 | 1 }>(text);
  return { ...content, enforce_parameter_schema: content.enforce_parameter_schema === 1 };
}

/** A version, with the queue and pool of its content, if these still exist. */
export type VersionRow = Omit<typeof deployment_version.$inferSelect, "workspace_id"> & {
  /** 1 for the newest version: its content is the deployment's content. */
  is_current: 0 | 1;
  queue_name: string | null;
  pool_id: string | null;
  pool_name: string | null;
  pool_type: string | null;
};

/**
 * The statements that write the content of a deployment as its next version, and remove the oldest version. They write
 * nothing if the newest version has the same content. They follow the change in its batch. The database makes the
 * content and the ordinal, so two concurrent changes get different ordinals.
 */
export function keepVersion({ workspaceId, ids }: { workspaceId: string; ids: Ids }, id: string, now: Micros): SQL[] {
  const newest = newestOf(sql`${workspaceId}`, sql`${id}`);
  return [
    sql`insert into ${deployment_version} (workspace_id, deployment_id, ordinal, id, created, archived, content)
      select d.workspace_id, d.id, coalesce(n.ordinal, 0) + 1, ${ids.random()}, ${now}, null, ${CONTENT}
      from ${deployment} d left join ${deployment_version} n
        on n.workspace_id = d.workspace_id and n.deployment_id = d.id and n.ordinal = ${newest}
      where d.workspace_id = ${workspaceId} and d.id = ${id} and (n.id is null or ${compared(sql`n.content`)} <> ${compared(CONTENT)})`,
    sql`delete from ${deployment_version} where workspace_id = ${workspaceId} and deployment_id = ${id}
      and ordinal <= ${newest} - ${MOST_VERSIONS}`,
  ];
}

/**
 * The part of a content that is compared. The description is not compared: it does not affect runs, and the stock
 * client sends another description when it deploys again.
 */
const compared = (content: SQL) => sql`json_remove(${content}, '$.description')`;

/** The columns to write. A column with the same JSON as before keeps its text: the order of keys does not count. */
export function asKept(before: DeploymentColumns, columns: Partial<DeploymentColumns>): Partial<DeploymentColumns> {
  const kept = new Map<string, unknown>(Object.entries(before));
  const isSame = (text: unknown, other: unknown) =>
    typeof text === "string" && typeof other === "string" && sameJson(readJson(text), readJson(other));
  return Object.fromEntries(
    Object.entries(columns).map(([column, value]) => {
      const before = kept.get(column);
      return [column, JSON_COLUMNS.has(column) && isSame(value, before) ? before : value];
    }),
  );
}

function newestOf(workspaceId: SQL, deploymentId: SQL): SQL {
  return sql`(select max(m.ordinal) from ${deployment_version} m where m.workspace_id = ${workspaceId} and m.deployment_id = ${deploymentId})`;
}

/** The versions of one deployment. */
export class VersionStore extends WorkspaceStore {
  private readonly deploymentId: string;

  constructor(db: Database, workspaceId: string, deploymentId: string) {
    super({ db, workspaceId });
    this.deploymentId = deploymentId;
  }

  /** Reads versions by their ids. An unknown id gives nothing. */
  async read(ids: readonly string[]): Promise<VersionRow[]> {
    return ids.length === 0 ? [] : this.db.rows<VersionRow>(this.select(ids));
  }

  /** The statement of `read`, for a batch of several reads. */
  select(ids: readonly string[]): SQL {
    return this.rows(sql`and v.id in ${list(ids)}`);
  }

  /** The statement that reads a page, newest first, without long contents. */
  list(page: { limit: number; offset: number; withArchived: boolean }): SQL {
    const which = page.withArchived ? sql`` : sql`and v.archived is null`;
    const content = sql.raw(shortened("v.content", "content"));
    return this.rows(sql`${which} order by v.ordinal desc limit ${page.limit} offset ${page.offset}`, content);
  }

  /** The same versions with their long contents. */
  inFull(rows: readonly VersionRow[]): Portions<VersionRow> {
    return inPortions(
      rows,
      ["content"],
      ({ id }) => id,
      (ids) => this.read(ids),
    );
  }

  /** The statement that archives a version, or takes it out of the archive (null). The newest one does not change. */
  setArchived(id: string, at: Micros | null): SQL {
    const newest = newestOf(sql`${this.workspaceId}`, sql`${this.deploymentId}`);
    return sql`update ${deployment_version} set archived = ${at}
      where workspace_id = ${this.workspaceId} and deployment_id = ${this.deploymentId} and id = ${id}
        and (archived is null) <> (${at} is null) and ordinal < ${newest}`;
  }

  private rows(rest: SQL, content = sql.raw("v.content")): SQL {
    return sql`select v.id, v.deployment_id, v.ordinal, v.created, v.archived, ${content},
        v.ordinal = ${newestOf(sql`v.workspace_id`, sql`v.deployment_id`)} as is_current,
        q.name as queue_name, p.id as pool_id, p.name as pool_name, p.type as pool_type
      from ${deployment_version} v
      left join ${work_queue} q on q.workspace_id = v.workspace_id and q.id = ${asObject(sql.raw("v.content"))} ->> '$.work_queue_id'
      left join ${work_pool} p on p.workspace_id = q.workspace_id and p.id = q.work_pool_id
      where v.workspace_id = ${this.workspaceId} and v.deployment_id = ${this.deploymentId} ${rest}`;
  }
}

/** The content of a version, as the columns of a deployment. */
export function columnsOfVersion({ content }: Pick<VersionRow, "content">) {
  return deployments.changes(readContent(content));
}

/** A version as lists show it. */
export function printVersionSummary(row: VersionRow) {
  const { version, version_info, description, entrypoint } = readContent(row.content);
  return {
    id: row.id,
    created: printTime(row.created),
    deployment_id: row.deployment_id,
    ordinal: row.ordinal,
    is_current: row.is_current === 1,
    archived: printOptionalTime(row.archived),
    version,
    version_info,
    description,
    entrypoint,
  };
}

/** A version with its content, as answers show it. */
export function printVersion(row: VersionRow) {
  const content = readContent(row.content);
  return {
    ...printVersionSummary(row),
    ...content,
    work_queue_name: row.queue_name ?? content.work_queue_name,
    work_pool_name: row.pool_name,
  };
}
