/** The turns of the crons, one a minute. A turn of a sweep takes a bounded number of steps, and a mark keeps the sweep's place. */
import { type SQL, sql } from "drizzle-orm";
import type { Database } from "#db/database";
import { earliestId, timeOfId, type Micros } from "#lib/clock";
import { sweep_mark } from "#db/tables/event";
import type { SweepTools, Tools } from "#tools";

/** The input of a step. */
export interface Step {
  /** Where the step begins. */
  place: string;
  /** How many items the step takes at most. 0 if the step skips one item, because no step with that item was completed. */
  most: number;
  /** Records that the step begins. A step calls `note` before work that may end the process. */
  note: () => Promise<void>;
}

/** The result of a step. */
interface StepEnd {
  /** Where the next step begins; null if the next turn begins at the start and needs no mark. */
  place: string | null;
  /** Whether the turn ends with this step. */
  isEnd: boolean;
}

/** Work on many items, some at a time. */
export interface Sweep {
  /** The name of the sweep's mark. */
  name: string;
  /** How many items a step takes. */
  most: number;
  /** How many steps a turn takes. */
  steps: number;
  /** Where a turn begins, from the mark of the turn before; null if there is nothing to do yet. */
  begin: (mark: string | null) => string | null;
  step: (step: Step) => Promise<StepEnd>;
  /** How many times a step of one item is begun before the item is skipped. Default: once. */
  tries?: number;
  /** Whether an error that a step throws is not caused by the step's items. If so, the next turn takes as many items. */
  keepsSizeOnError?: boolean | ((error: unknown) => boolean);
}

/**
 * Takes one turn of a sweep: step after step from the mark. The mark moves after each step. A step that was recorded but did not end is
 * begun again with an eighth of its items. If two turns run at the same time, only one moves the mark. Throws the errors of the steps.
 */
export async function takeTurn({ db }: Pick<Tools, "db">, sweep: Sweep): Promise<void> {
  const mark = new Mark(db, sweep.name);
  const begun = await mark.read();
  let place = sweep.begin(mark.place);
  if (place === null) return;
  let size = sizeAfter(begun, place, sweep.most);
  for (let steps = 0; steps < sweep.steps; steps++) {
    const end = await takeStep(mark, sweep, place, size);
    const isLast = end.isEnd || end.place === null || steps === sweep.steps - 1;
    await mark.moveTo(end.place, isLast);
    if (isLast || end.place === null) return;
    place = end.place;
    size = { most: Math.min(sweep.most, 2 * size.most), tries: 1 };
  }
}

/** How many items a step takes, and how many times a step of this size was begun at this place. */
interface Size {
  most: number;
  tries: number;
}

async function takeStep(mark: Mark, sweep: Sweep, place: string, size: Size): Promise<StepEnd> {
  const most = size.tries > (sweep.tries ?? 1) ? 0 : size.most;
  try {
    return await sweep.step({ place, most, note: () => mark.noteStep(place, size) });
  } catch (error) {
    const { keepsSizeOnError: keeps } = sweep;
    if (typeof keeps === "function" ? keeps(error) : keeps) await mark.forgetStep();
    throw error;
  }
}

/** The size of a turn's first step. Smaller than the full size if a step that began at this place did not end in the turn before. */
function sizeAfter(begun: (Size & { place: string }) | null, place: string, most: number): Size {
  if (begun?.place !== place) return { most, tries: 1 };
  return begun.most > 1 ? { most: Math.floor(begun.most / 8) || 1, tries: 1 } : { most: 1, tries: begun.tries + 1 };
}

/** The mark of a sweep, and the step that is running: its place and its size. */
class Mark {
  private readonly db: Database;
  private readonly name: string;
  /** The place in the table, as this turn last read or wrote it. */
  place: string | null = null;
  private isNoted = false;

  constructor(db: Database, name: string) {
    this.db = db;
    this.name = name;
  }

  /** Reads the mark. Returns the step that was recorded last and did not end. */
  async read(): Promise<(Size & { place: string }) | null> {
    const marked = (name: string) => sql`select name, mark from ${sweep_mark} where name = ${name}`;
    // Not `name in (…)`, because that reads one more row for each value in the list.
    const rows = await this.db.rows<{ name: string; mark: string }>(
      sql`${marked(this.name)} union all ${marked(this.begun)}`,
    );
    this.place = rows.find(({ name }) => name === this.name)?.mark ?? null;
    const noted = rows.find(({ name }) => name === this.begun)?.mark.match(/^(.*?)\/([\d.]+)(?:\/(\d+))?$/s);
    this.isNoted = noted !== undefined;
    return noted ? { place: noted[1] ?? "", most: Number(noted[2]), tries: Number(noted[3] ?? 1) } : null;
  }

  /** Moves the mark, unless another turn has moved it. A recorded step with another place has no effect; the last step removes it. */
  async moveTo(place: string | null, isLast: boolean): Promise<void> {
    await this.db.batch([...this.move(place), ...(isLast && this.isNoted ? [this.forget()] : [])]);
    this.place = place;
  }

  async noteStep(place: string, { most, tries }: Size): Promise<void> {
    // A step that is begun again is found by its place, so its place must be the mark.
    if (place !== this.place) await this.db.batch(this.move(place));
    this.place = place;
    this.isNoted = true;
    const step = `${place}/${most}${tries > 1 ? `/${tries}` : ""}`;
    await this.db.run(sql`insert into ${sweep_mark} (name, mark) values (${this.begun}, ${step})
      on conflict (name) do update set mark = excluded.mark`);
  }

  async forgetStep(): Promise<void> {
    if (this.isNoted) await this.db.run(this.forget());
  }

  private get begun(): string {
    return `${this.name} begun`;
  }

  private forget(): SQL {
    return sql`delete from ${sweep_mark} where name = ${this.begun}`;
  }

  private move(place: string | null): SQL[] {
    const isThisMark = sql`name = ${this.name} and mark = ${this.place}`;
    if (place === this.place) return [];
    if (place === null) return [sql`delete from ${sweep_mark} where ${isThisMark}`];
    if (this.place !== null) return [sql`update ${sweep_mark} set mark = ${place} where ${isThisMark}`];
    return [sql`insert into ${sweep_mark} (name, mark) values (${this.name}, ${place}) on conflict do nothing`];
  }
}

const MINUTE: Micros = 60_000_000;

/** An hour. */
export const HOUR: Micros = 60 * MINUTE;

/** Whether this is the first turn of its hour. Work that is too expensive for every turn is done in the first turn of an hour. */
export function isFirstOfHour(now: Micros): boolean {
  return now % HOUR < MINUTE;
}

/** A period of time. The first moment is not included, the last moment is. */
export interface Period {
  after: Micros;
  until: Micros;
}

/**
 * Returns the period of the overdue runs that a turn reads, and the name of the mark. Runs that no process starts stay overdue. So most
 * turns read only the last `span` of time, and the first turn of each hour reads the whole past. Each kind of turn has its own mark.
 */
export function overduePeriod(
  name: string,
  now: Micros,
  until: Micros,
  span: Micros,
): { name: string; period: Period } {
  if (isFirstOfHour(now)) return { name: `${name}, all`, period: { after: 0, until } };
  return { name, period: { after: until - span, until } };
}

/** A longer gap between two turns means that the server did not listen. */
const LONGEST_GAP: Micros = 150_000_000;

/**
 * Records this turn of a service. Returns the time of the first turn since the last gap. Before that time this server
 * received no signs of life, so a run's silence before that time does not count. One round trip.
 */
export async function listeningSince({ db }: SweepTools, service: string, now: Micros): Promise<Micros> {
  const [since, last] = [`${service}: listening since`, `${service}: last turn`];
  const unbroken = sql`(select s.mark from ${sweep_mark} s cross join ${sweep_mark} l where s.name = ${since}
    and l.name = ${last} and l.mark between ${earliestId(now - LONGEST_GAP)} and ${earliestId(now + LONGEST_GAP)}
    and s.mark <= ${earliestId(now)})`;
  const [, marks] = await db.repeatable([
    sql`insert into ${sweep_mark} (name, mark)
      select ${since}, coalesce(${unbroken}, ${earliestId(now)}) union all select ${last}, ${earliestId(now)}
      where true on conflict (name) do update set mark = excluded.mark where mark <> excluded.mark`,
    sql`select mark from ${sweep_mark} where name = ${since}`,
  ]);
  const mark = marks?.rows[0]?.["mark"];
  return typeof mark === "string" ? timeOfId(mark) : now;
}
