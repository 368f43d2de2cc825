/** The check of templates says what the original says. `record_templates.py` records it. */
import { describe, expect, test } from "vitest";
import { templateProblem } from "#lib/template";
import recorded from "./recorded/templates.json";

/** A template; its fault, if it has one, has a line and a message. */
type Recorded = [template: string] | [template: string, line: number, message: string];

test.for(recorded as Recorded[])("%j", ([template, line, message]) => {
  expect(templateProblem(template)).toEqual(message === undefined ? undefined : { line, message });
});

describe("hostile templates", () => {
  test.for([
    ["brackets", `{{ ${"(".repeat(100_000)} }}`],
    ["signs", `{{ ${"-".repeat(100_000)}1 }}`],
    ["words", `{{ ${"not ".repeat(25_000)}x }}`],
    ["conditions", `{{ ${"a if b else ".repeat(8_000)}c }}`],
    ["tags", "{% if a %}".repeat(10_000)],
    ["lists", `{{ ${"[".repeat(50_000)} }}`],
  ] as const)("with very many nested %s are refused", ([, template]) => {
    expect(templateProblem(template)?.message).toMatch(/^Templates may nest to 200 levels\.$/);
  });

  test.for([
    ["braces", "{ ".repeat(50_000)],
    ["texts", `{{ ${"'x' ".repeat(25_000)} }}`],
    ["open quotes", `{{ ${"'\\".repeat(50_000)} }}`],
    ["begun tags", "{{ x }}{".repeat(12_000)],
    ["spaces before a dash", `${" ".repeat(100_000)}{{- x }}`],
    ["raw", "{% raw ".repeat(14_000)],
    ["begun comments", "{# #}".repeat(20_000)],
    ["digits", `{{ ${"1_".repeat(50_000)} }}`],
  ] as const)("with very many %s are checked in a moment", ([, template]) => {
    const start = performance.now();
    templateProblem(template);
    expect(performance.now() - start).toBeLessThan(1_000);
  });
});
