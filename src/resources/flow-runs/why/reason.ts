/** What a reason is: an entry that says when it holds, its sentence, and what happens next. Pure. */
import type { WhyNext, WhyReason } from "#resources/flow-runs/why/schema";
import type { Situation } from "#resources/flow-runs/why/situation";

type Code = WhyReason["code"];
type FactsByCode = { [C in Code]: Extract<WhyReason, { code: C }>["facts"] };

/** The facts of a reason, by its code. */
export type Facts<C extends Code> = FactsByCode[C];

/** A reason that holds, and what happens next if this reason decides. */
export interface Finding<C extends Code = Code> {
  reason: { [K in C]: { code: K; message: string; facts: FactsByCode[K]; since: string | null } }[C];
  next: WhyNext;
}

/** `at` is null where nobody knows the time. */
type Next = Omit<WhyNext, "at"> & Partial<Pick<WhyNext, "at">>;

interface Entry<C extends Code> {
  /** The facts by which the reason holds, or null where it does not hold. */
  when: (situation: Situation) => Facts<C> | null;
  sentence: (facts: Facts<C>, situation: Situation) => string;
  /** The time since when the reason holds, where that time is known. */
  since?: (facts: Facts<C>, situation: Situation) => string | null;
  /** Who does the next step, and when. */
  next: (facts: Facts<C>, situation: Situation) => Next;
}

/** Gives the findings of one reason: none where it does not hold. */
export type Reason = (situation: Situation) => Finding[];

/** The reason of this code. */
export function reason<C extends Code>(code: C, { when, sentence, since, next }: Entry<C>) {
  return (situation: Situation): Finding<C>[] => {
    const facts = when(situation);
    if (facts === null) return [];
    const found = { code, message: sentence(facts, situation), facts, since: since?.(facts, situation) ?? null };
    return [{ reason: found, next: { at: null, ...next(facts, situation) } }];
  };
}
