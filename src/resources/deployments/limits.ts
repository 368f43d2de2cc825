/** The concurrency limit of a deployment: its own or one that others share; how it is changed, told of and shown. */
import type { Statement } from "#db/database";
import type { Micros } from "#lib/clock";
import { limitChanged, limitsRemoved, readInUse } from "#objects/concurrency-limits/client";
import { printLimit } from "#resources/concurrency-limits-v2/store";
import type { DeploymentCreate } from "#resources/deployments/schema";
import {
  type DeploymentRow,
  type DeploymentStore,
  limitOf,
  ownLimitName,
  printDeployment,
} from "#resources/deployments/store";
import type { Tools } from "#tools";

/** What a body says of the limit. Absent, null and a value are three things, of both fields. */
export type LimitWish = Pick<DeploymentCreate, "concurrency_limit" | "global_concurrency_limit_id">;

/** What is to be done about a deployment's own limit, after the body's columns were written. */
export function limitStatements(
  tools: Tools,
  store: DeploymentStore,
  id: string,
  existing: DeploymentRow | null,
  body: LimitWish,
  now: Micros,
): Statement[] {
  if (body.concurrency_limit === undefined) return [];
  const limit = body.concurrency_limit;
  const isShared = Boolean(body.global_concurrency_limit_id);
  const keeps = body.global_concurrency_limit_id === undefined;
  const present = existing ? (limitOf(existing)?.limit ?? null) : null;
  if (keeps && present === limit) return [];
  if (limit === null && !existing) return [];
  if (limit !== null) return [store.writeOwnLimit(id, tools.ids.random(), limit, now), store.useOwnLimit(id)];
  return [store.removeOwnLimit(id), ...(isShared ? [] : [store.update(id, { concurrency_limit_id: null })])];
}

/** Tells the object what became of a deployment's own limit, after the commit. Others' limits do not change here. */
export async function tellOfLimit(
  tools: Tools,
  before: DeploymentRow,
  after: DeploymentRow,
  body: LimitWish,
): Promise<void> {
  const own = ownLimitName(after.id);
  const [old, present] = [limitOf(before), limitOf(after)];
  const isSame = old?.id === present?.id && old?.limit === present?.limit;
  if (present?.name === own && !isSame) await limitChanged(tools, { id: present.id });
  const isRemoved = body.concurrency_limit === null && old?.name === own && old.id !== present?.id;
  if (isRemoved) await limitsRemoved(tools, [old.id]);
}

/** Deployments as answers show them, with the slots in use of their limits: one call of the object, if they have limits. */
export async function showDeployments(tools: Tools, rows: readonly DeploymentRow[]) {
  const limits = rows.map(limitOf);
  const ids = new Set(limits.flatMap((limit) => limit?.id ?? []));
  const inUse = await readInUse(tools, [...ids]);
  return rows.map((row, index) => {
    const limit = limits[index] ?? null;
    return printDeployment(row, limit && printLimit(limit, inUse[limit.id] ?? 0));
  });
}

/** A deployment as answers show it. */
export async function showDeployment(tools: Tools, row: DeploymentRow) {
  const limit = limitOf(row);
  return printDeployment(row, limit && printLimit(limit, (await readInUse(tools, [limit.id]))[limit.id] ?? 0));
}
