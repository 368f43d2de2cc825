import { expect, test } from "vitest";
import { rotateKey } from "../../scripts/rotate-key-steps.ts";

function aWorker(names: readonly string[] | null) {
  const inputs = new Map<string, string | undefined>();
  const said: string[] = [];
  const ask = async (args: readonly string[], input?: string) => {
    if (args[1] === "list" && names === null) return { code: 1, output: "it broke" };
    if (args[1] === "list") return { code: 0, output: JSON.stringify(names?.map((name) => ({ name }))) };
    inputs.set(String(args[2]), input);
    return { code: 0, output: "" };
  };
  const world = { ask, show: ask, write: () => undefined, say: (text: string) => void said.push(text) };
  return { inputs, said, world };
}

test.for([
  [["SLUICE_API_KEY", "SLUICE_SECRETS_KEY"], "SLUICE_SECRETS_KEY_2"],
  [["SLUICE_SECRETS_KEY_9", "SLUICE_SECRETS_KEY_10"], "SLUICE_SECRETS_KEY_11"],
] as const)("beside %j the new key is %s, and the old keys stay", async ([present, added]) => {
  const { inputs, said, world } = aWorker(present);
  await rotateKey("sluice", "db", world);
  expect([...inputs.keys()]).toEqual([added]);
  const key = inputs.get(added)?.trim() ?? "";
  expect(key).toMatch(/^[A-Za-z0-9+/]{43}=$/);
  for (const name of present.filter((one) => one.includes("SECRETS")))
    expect(said.join()).toContain(`secret delete ${name} `);
  expect(said.join()).not.toContain(key);
});

test.for([
  [[], "has no key yet"],
  [null, "could not be listed"],
] as const)("with the secrets %j nothing is changed", async ([present, message]) => {
  const { inputs, world } = aWorker(present);
  await expect(rotateKey("sluice", "db", world)).rejects.toThrow(message);
  expect(inputs.size).toBe(0);
});
