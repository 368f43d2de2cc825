/** The definitions of limits that the object knows of D1, and how long it may rely on them. Pure. */
import type { Micros } from "#lib/clock";
import type { Limit } from "#objects/concurrency-limits/ledger";
import type { LimitKeys } from "#objects/concurrency-limits/messages";

/** How long the object relies on what it read of a definition, or that there is none, without a notice. */
const FRESH: Micros = 30_000_000;
/** Limits of deployments are read one by one, for there may be many; the others all at once. */
const ONE_BY_ONE = "deployment:";
/** How many of the limits of deployments are kept. */
const MOST_KEPT = 5_000;

/** What has to be read: these limits, and where `common` is true all limits that are not a deployment's own. */
export interface LimitsToRead extends LimitKeys {
  common: boolean;
}

const isCommon = (name: string) => !name.startsWith(ONE_BY_ONE);

/** What is known of the limits of one workspace. */
export class Definitions {
  /** Goes up with each change of a definition: what was read before the change is outdated. */
  generation = 0;
  private readonly limits = new Map<string, Limit>();
  private readonly ids = new Map<string, string>();
  private readonly readAt = new Map<string, Micros>();
  private commonAt: Micros | null = null;

  /** The limit of this name, or undefined. */
  named(name: string): Limit | undefined {
    const id = this.ids.get(name);
    return id === undefined ? undefined : this.limits.get(id);
  }

  /** The limit of this id, or undefined. */
  read(id: string): Limit | undefined {
    return this.limits.get(id);
  }

  /** What must be read before these are known, or null. */
  wanted({ names, ids }: LimitKeys, now: Micros): LimitsToRead | null {
    const isCommonStale = this.commonAt === null || now - this.commonAt >= FRESH;
    const isStale = (key: string) => now - (this.readAt.get(key) ?? -FRESH) >= FRESH;
    const isKnownCommon = (id: string) => isCommon(this.limits.get(id)?.name ?? ONE_BY_ONE);
    const staleIds = ids.filter((id) => isStale(id) && (isCommonStale || !isKnownCommon(id)));
    const wanted = {
      common: isCommonStale && (names.some(isCommon) || staleIds.some(isKnownCommon)),
      names: names.filter((name) => !isCommon(name) && isStale(name)),
      ids: staleIds.filter((id) => !isKnownCommon(id)),
    };
    return wanted.common || wanted.names.length + wanted.ids.length > 0 ? wanted : null;
  }

  /** Takes up what was read; gives the ids of limits that are not there. */
  learn(wanted: LimitsToRead, rows: readonly Limit[], now: Micros): string[] {
    if (this.readAt.size > MOST_KEPT) this.forgetOneByOne();
    const before = [...this.limits.values()].filter(
      ({ id, name }) => (wanted.common && isCommon(name)) || wanted.ids.includes(id) || wanted.names.includes(name),
    );
    for (const limit of before) this.remove(limit);
    for (const limit of rows) {
      const old = this.limits.get(limit.id);
      if (old) this.remove(old);
      this.limits.set(limit.id, limit);
      this.ids.set(limit.name, limit.id);
    }
    if (wanted.common) this.commonAt = now;
    for (const key of [...wanted.names, ...wanted.ids]) this.readAt.set(key, now);
    const looked = new Set([...before.map(({ id }) => id), ...wanted.ids]);
    return [...looked].filter((id) => !this.limits.has(id));
  }

  /** A definition was changed: each definition is read again before it is used. */
  expire(): void {
    this.generation++;
    this.commonAt = null;
    this.readAt.clear();
  }

  private remove({ id, name }: Limit): void {
    this.limits.delete(id);
    if (this.ids.get(name) === id) this.ids.delete(name);
  }

  private forgetOneByOne(): void {
    this.readAt.clear();
    for (const limit of this.limits.values()) if (!isCommon(limit.name)) this.remove(limit);
  }
}
