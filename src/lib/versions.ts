/** Versions of three numbers, such as the versions of the API and of the stock client. */

/** The major, minor and patch number. */
export type Version = readonly [number, number, number];

/** The version at the start of a text, for example `3.4.11` of `3.4.11rc1`; null if the text does not begin with a version. */
export function parseVersion(text: string): Version | null {
  const [, major, minor, patch] = /^(\d+)\.(\d+)\.(\d+)/.exec(text) ?? [];
  return patch === undefined ? null : [Number(major), Number(minor), Number(patch)];
}

/** Less than zero if `a` comes before `b`, more if `a` comes after `b`, zero if they are the same. */
export function compareVersions(a: Version, b: Version): number {
  return a[0] - b[0] || a[1] - b[1] || a[2] - b[2];
}
