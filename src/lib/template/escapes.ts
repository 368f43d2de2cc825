/** The escapes in texts of templates, which are those of Python. */
import { TemplateFault } from "#lib/template/fault";

/** An escape: its letter, and the digits that follow as far as there are any. */
const ESCAPE = /\\(?:x([\da-fA-F]{0,2})|u([\da-fA-F]{0,4})|U([\da-fA-F]{0,8})|N(\{[^}]+\})?|[^])/g;
const LAST_CHARACTER = 0x10_ff_ff;

/** Throws `TemplateFault` for an escape that Python cannot read. */
export function checkEscapes(text: string, line: number): void {
  for (const [whole, x, u, long, name] of text.matchAll(ESCAPE)) {
    const problem = problemOf(whole.charAt(1), { x, u, long, name });
    if (problem !== undefined) throw new TemplateFault(problem, line);
  }
}

function problemOf(
  letter: string,
  { x = "", u = "", long = "", name }: Partial<Record<"x" | "u" | "long" | "name", string | undefined>>,
): string | undefined {
  if (letter === "x" && x.length < 2) return String.raw`truncated \xXX escape`;
  if (letter === "u" && u.length < 4) return String.raw`truncated \uXXXX escape`;
  if (letter === "U" && long.length < 8) return String.raw`truncated \UXXXXXXXX escape`;
  if (letter === "U" && Number.parseInt(long, 16) > LAST_CHARACTER) return "illegal Unicode character";
  return letter === "N" && name === undefined ? String.raw`malformed \N character escape` : undefined;
}
