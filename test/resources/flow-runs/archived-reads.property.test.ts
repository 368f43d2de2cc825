/** Random rows of runs answer the same before and after their move. */
import fc from "fast-check";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { WORKSPACE } from "../../support/world";
import { archiveTools } from "../logs/archive-world";
import { type Question, questionsAbout, questionsAboutMany, send } from "./archive-history";
import { anyRun, countOf, emptyRuns, moveRuns, type RandomRun, runTools, silence, writeRun } from "./archive-world";

beforeEach(silence);
afterEach(() => void vi.restoreAllMocks());

/** The run, whose first task run stands for a subflow: its state has the id of the subflow. */
function withSubflow(run: RandomRun, child_flow_run_id: string): RandomRun {
  const id = crypto.randomUUID();
  const state = { id, type: "COMPLETED", name: "n", timestamp: 1, message: null, data: null };
  const states = JSON.stringify([{ ...state, state_details: { child_flow_run_id } }]);
  return { ...run, tasks: run.tasks.map((task, place) => (place === 0 ? { ...task, states } : task)) };
}

/** The answers at a fixed time. */
async function answersTo(questions: readonly Question[]): Promise<unknown[][]> {
  const answers: unknown[][] = [];
  for (const question of questions) {
    const answer = await send(question, archiveTools(WORKSPACE));
    answers.push([answer.status, await answer.text(), answer.headers.get("x-sluice-archive")]);
  }
  return answers;
}

test("any runs answer the same before and after their move", { timeout: 120_000 }, async () => {
  await fc.assert(
    fc.asyncProperty(anyRun, anyRun, fc.nat(), async (one, other, choice) => {
      await emptyRuns();
      const id = crypto.randomUUID();
      const parent = await writeRun(WORKSPACE, withSubflow(one, id));
      const child = await writeRun(WORKSPACE, other, { id, parent: parent.tasks[0] ?? null });
      const ids = [parent.id, child.id];
      const questions = [
        ...ids.flatMap(questionsAbout),
        ...questionsAboutMany(ids, parent.tasks).filter((_, index) => index % 5 === choice % 5),
      ];
      const before = await answersTo(questions);
      for (let rounds = 0; rounds < 2; rounds++) await moveRuns(runTools(WORKSPACE));
      expect(await countOf("flow_run")).toBe(0);
      const after = await answersTo(questions);
      for (const [index, question] of questions.entries())
        expect(after[index], JSON.stringify(question)).toEqual(before[index]);
      // Some random inputs of task runs are no inputs, and a graph of them fails in both stores.
      expect(before.filter(([status]) => status === 200).length).toBeGreaterThan(questions.length / 2);
    }),
    { numRuns: 10, endOnFailure: true },
  );
});
