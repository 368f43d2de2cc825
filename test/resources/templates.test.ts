/** `POST /templates/validate`, and its older path. */
import { describe, expect, test } from "vitest";
import { sendText } from "../support/world";

describe.for(["/templates/validate", "/automations/templates/validate"])("POST %s", (path) => {
  test.for(["{{ flow_run.name }}", "", "{% for a in b %}{{ a }}{% endfor %}"])("accepts %j", async (template) => {
    const { status, text } = await sendText("POST", path, JSON.stringify(template));
    expect([status, text]).toEqual([204, ""]);
  });

  test("accepts no template", async () => {
    expect((await sendText("POST", path)).status).toBe(204);
  });

  test("says the line and the fault of a template", async () => {
    const source = "a\n{{ b c }}";
    const { status, text } = await sendText("POST", path, JSON.stringify(source));
    const error = { line: 2, message: "expected token 'end of print statement', got 'c'", source };
    expect([status, JSON.parse(text)]).toEqual([422, { error }]);
  });

  test.for([{ a: 1 }, 5, "x".repeat(100_001)])("refuses other bodies", async (body) => {
    expect((await sendText("POST", path, JSON.stringify(body))).status).toBe(422);
  });
});
