/** The concurrency limit of a deployment: its own, or one that other deployments share. */
import type { Statement } from "#db/database";
import type { Micros } from "#lib/clock";
import { limitChanged, limitsRemoved, readInUse } from "#objects/concurrency-limits/client";
import { printLimit } from "#resources/concurrency-limits-v2/store";
import type { DeploymentCreate } from "#resources/deployments/schema";
import {
  type DeploymentRow,
  DeploymentStore,
  limitOf,
  ownLimitName,
  printDeployment,
} from "#resources/deployments/store";
import type { Tools } from "#tools";

/** The fields of a body that set the limit. An absent field, null and a value differ. */
export type LimitWish = Pick<DeploymentCreate, "concurrency_limit" | "global_concurrency_limit_id">;

/** The statements that change a deployment's own limit. They follow the statement that writes the columns of the body. */
export function limitStatements(
  tools: Tools,
  { id, before, body, now }: { id: string; before?: DeploymentRow; body: LimitWish; now: Micros },
): Statement[] {
  const { concurrency_limit: limit, global_concurrency_limit_id: sharedId } = body;
  if (limit === undefined) return [];
  const present = (before && limitOf(before)?.limit) ?? null;
  if (sharedId === undefined && present === limit) return [];
  const store = new DeploymentStore(tools.db, tools.workspaceId);
  if (limit !== null) return store.writeOwnLimit(id, tools.ids.random(), limit, now);
  if (!before) return [];
  return [
    store.removeOwnLimit(id),
    ...(sharedId ? [] : [store.update(id, { concurrency_limit_id: null, updated: now })]),
  ];
}

/** Tells the object of limits, after the commit, that a deployment's own limit was changed or removed. Shared limits do not change. */
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
  const [shown] = await showDeployments(tools, [row]);
  return shown;
}
