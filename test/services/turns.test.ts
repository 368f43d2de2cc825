import { env } from "cloudflare:test";
import { beforeEach, expect, test } from "vitest";
import { type Sweep, takeTurn } from "#services/turns";
import { NOW, toolsAt } from "./retention-world";

beforeEach(() => env.DB.prepare("delete from sweep_mark").run());

const markOf = (name: string) =>
  env.DB.prepare("select mark from sweep_mark where name = ?").bind(name).first<string>("mark");

/** A sweep over the numbers from 0 on, 10 for each step. It records its steps and the numbers that were taken. */
function overNumbers(count: number, changes: Partial<Sweep> & { fail?: (numbers: readonly number[]) => void } = {}) {
  const steps: number[][] = [];
  const { fail, ...others } = changes;
  const sweep: Sweep = {
    name: "numbers",
    most: 10,
    steps: 3,
    begin: (mark) => mark ?? "0",
    step: async ({ place, most, note }) => {
      const first = Number(place);
      await note();
      const numbers = Array.from({ length: Math.min(Math.max(1, most), count - first) }, (_, index) => first + index);
      if (most > 0) {
        fail?.(numbers);
        steps.push(numbers);
      }
      const next = first + numbers.length;
      return { place: next < count ? String(next) : null, isEnd: next >= count };
    },
    ...others,
  };
  return { steps, turn: () => takeTurn(toolsAt(NOW), sweep) };
}

test("a turn ends after its maximum number of steps, and the next turn continues at the mark", async () => {
  const { steps, turn } = overNumbers(45);
  await turn();
  expect(steps.map(([first]) => first)).toEqual([0, 10, 20]);
  expect(await markOf("numbers")).toBe("30");
  await turn();
  expect(steps.map(([first]) => first)).toEqual([0, 10, 20, 30, 40]);
  expect(await env.DB.prepare("select count(*) as n from sweep_mark").first("n")).toBe(0);
});

test("a sweep without work costs one read", async () => {
  const tools = toolsAt(NOW);
  const { steps } = overNumbers(10);
  const none = { name: "none", most: 10, steps: 3, begin: () => null, step: () => Promise.reject(new Error("a step")) };
  await takeTurn(tools, none);
  expect([steps, tools.db.cost.d1_queries, tools.db.cost.d1_rows_written]).toEqual([[], 1, 0]);
});

test("a failed step is started again with an eighth of its items, and the number that is the cause is skipped", async () => {
  const { steps, turn } = overNumbers(40, {
    most: 20,
    tries: 2,
    fail: (numbers) => {
      if (numbers.includes(7)) throw new Error("it never ends");
    },
  });
  let failures = 0;
  for (let turns = 0; turns < 12 && !steps.flat().includes(39); turns++) await turn().catch(() => failures++);
  expect(failures).toBeGreaterThan(2);
  expect(steps.flat()).toEqual(Array.from({ length: 40 }, (_, index) => index).filter((number) => number !== 7));
});

test("if no number is the cause of an error, the next turn takes as many items", async () => {
  let isDown = true;
  const { steps, turn } = overNumbers(20, {
    keepsSizeOnError: true,
    fail: () => {
      if (isDown) throw new Error("the database is away");
    },
  });
  await expect(turn()).rejects.toThrow("away");
  isDown = false;
  await turn();
  expect(steps.map(({ length }) => length)).toEqual([10, 10]);
});

test("if another turn has moved the mark further, a turn does not move the mark back", async () => {
  const slow = overNumbers(100, { steps: 1 });
  const fast = overNumbers(100);
  await slow.turn();
  let isOvertaken = false;
  const overtaken = overNumbers(100, {
    steps: 1,
    step: async ({ place }) => {
      if (!isOvertaken) await fast.turn();
      isOvertaken = true;
      return { place: String(Number(place) + 1), isEnd: false };
    },
  });
  await overtaken.turn();
  expect(await markOf("numbers")).toBe("40");
});
