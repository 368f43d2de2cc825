/** Statistics: makes one line of a table from the samples of short rounds. */
export interface Round {
  /** Latencies of the operations that succeeded, in milliseconds. */
  latenciesMs: number[];
  failures: number;
  firstFailure: string | undefined;
  /** Seconds from the first start until the last answer. */
  seconds: number;
}

export interface Summary {
  /** Successful operations per second: the median of the rounds. */
  rate: number;
  /** Medians of the rounds' quantiles; NaN if nothing succeeded. */
  p50Ms: number;
  p99Ms: number;
  /** Sums over the rounds. */
  samples: number;
  failures: number;
  firstFailure: string | undefined;
}

export function summarise(rounds: readonly Round[]): Summary {
  const answered = rounds.filter((round) => round.latenciesMs.length > 0);
  return {
    rate: median(rounds.map((round) => round.latenciesMs.length / round.seconds)),
    p50Ms: median(answered.map((round) => quantile(round.latenciesMs, 0.5))),
    p99Ms: median(answered.map((round) => quantile(round.latenciesMs, 0.99))),
    samples: sum(rounds.map((round) => round.latenciesMs.length)),
    failures: sum(rounds.map((round) => round.failures)),
    firstFailure: rounds.find((round) => round.firstFailure !== undefined)?.firstFailure,
  };
}

/** The smallest sample for which at least the share `q` of all samples is not larger; NaN without samples. */
export function quantile(samples: readonly number[], q: number): number {
  const sorted = [...samples].sort((a, b) => a - b);
  const rank = Math.max(1, Math.ceil(q * sorted.length));
  return sorted[rank - 1] ?? Number.NaN;
}

export function median(samples: readonly number[]): number {
  const sorted = [...samples].sort((a, b) => a - b);
  const upper = sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
  if (sorted.length % 2 === 1) return upper;
  const lower = sorted[sorted.length / 2 - 1] ?? Number.NaN;
  return (lower + upper) / 2;
}

export function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}
