import { expect, test } from "vitest";
import { compareVersions, parseVersion, type Version } from "#lib/versions";

test.for([
  ["3.4.11", [3, 4, 11]],
  ["3.4.11rc1", [3, 4, 11]],
  ["3.4.11.dev2+1.gabc", [3, 4, 11]],
  ["3.4", null],
  ["v3.4.11", null],
  ["", null],
] as const)("%j begins with %j", ([text, version]) => {
  expect(parseVersion(text)).toEqual(version);
});

test("versions are ordered by their numbers", () => {
  const versions: Version[] = [
    [0, 8, 4],
    [3, 3, 7],
    [3, 3, 11],
    [3, 10, 0],
    [11, 0, 0],
  ];
  expect(versions.toReversed().toSorted(compareVersions)).toEqual(versions);
  expect(compareVersions([3, 3, 7], [3, 3, 7])).toBe(0);
});
