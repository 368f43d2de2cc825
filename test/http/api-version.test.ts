import { expect, test } from "vitest";
import { readClient } from "#http/api-version";

const versionOf = (agent: string) => readClient(new Headers({ "user-agent": agent })).version;

test.for([
  ["prefect/3.8.8 (API 0.8.4)", "3.8.8"],
  ["prefect/3.4.11rc1 (API 0.8.4)", "3.4.11rc1"],
  ["prefect/3.4.11+12.gabc (API 0.8.4)", "3.4.11+12.gabc"],
  ["prefect/3.4 (API 0.8.4)", null],
  ["curl/8.0", null],
  [`prefect/1.1.${"1".repeat(300_000)}`, null],
] as const)("the client's version is read from its user agent: $1", ([agent, version]) => {
  expect(versionOf(agent)).toBe(version);
});
