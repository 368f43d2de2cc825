/** Versions of three numbers, as those of the API and of the stock client. */

/** Its major, minor and patch number. */
export type Version = readonly [number, number, number];

/** The version that a text begins with, as `3.4.11` of `3.4.11rc1`; null where it begins with none. */
export function parseVersion(text: string): Version | null {
  const [, major, minor, patch] = /^(\d+)\.(\d+)\.(\d+)/.exec(text) ?? [];
  return patch === undefined ? null : [Number(major), Number(minor), Number(patch)];
}

/** Less than zero where `a` comes before `b`, more where it comes after, zero where they are the same. */
export function compareVersions(a: Version, b: Version): number {
  return a[0] - b[0] || a[1] - b[1] || a[2] - b[2];
}
