import { expect, test, vi } from "vitest";
import { log } from "#lib/log";

function written(...given: Parameters<typeof log>): unknown {
  const spy = vi.spyOn(console, given[1]).mockImplementation(() => {});
  log(...given);
  const [[line] = []] = spy.mock.calls;
  spy.mockRestore();
  return JSON.parse(String(line));
}

test("a line has the workspace, the request and the fields, as JSON", () => {
  const context = { workspaceId: "w", requestId: "r" };
  expect(written(context, "error", "a run failed", { flow_run_id: "f" })).toEqual({
    level: "error",
    message: "a run failed",
    workspace_id: "w",
    request_id: "r",
    flow_run_id: "f",
  });
});

test("an unknown field is left out", () => {
  expect(written({ workspaceId: "", requestId: null }, "warn", "nearly full")).toEqual({
    level: "warn",
    message: "nearly full",
  });
});

test("an error is its message, its stack and its causes", () => {
  const error = new Error("outer", { cause: new TypeError("inner") });
  expect(written({}, "error", "it failed", { error })).toMatchObject({
    error: {
      message: "outer",
      stack: expect.stringContaining("outer"),
      cause: { message: "inner", stack: expect.stringContaining("TypeError") },
    },
  });
});

const round: unknown[] = [];
round.push(round);

test.for([[1n], [round]])("a line with a field that cannot be printed is still in the log: %#", ([error]) => {
  expect(written({ workspaceId: "w" }, "error", "it failed", { error })).toMatchObject({ message: "it failed" });
});
