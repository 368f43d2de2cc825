/** Checks the syntax of templates, in the language of Jinja. Nothing is rendered. */
import { TemplateFault } from "#lib/template/fault";
import { type Loops, TemplateReader } from "#lib/template/statements";

/** Prefect: the bounds of loops in `user_templates`. */
const MAX_LOOPS = 10;
const MAX_LOOP_DEPTH = 2;

/** The first fault of a template: its line, from 1, or 0 for a fault of the whole template, and Jinja's message. */
export interface TemplateProblem {
  line: number;
  message: string;
}

/** Returns the first fault of a template, or undefined. */
export function templateProblem(template: string): TemplateProblem | undefined {
  try {
    const reader = new TemplateReader(template);
    reader.body();
    return loopProblem(reader.loops);
  } catch (error) {
    if (error instanceof TemplateFault) return { line: error.line, message: error.message };
    throw error;
  }
}

function loopProblem({ count, depth }: Loops): TemplateProblem | undefined {
  if (count > MAX_LOOPS)
    return {
      line: 0,
      message: `Contains ${count} for loops. Templates can contain no more than ${MAX_LOOPS} for loops.`,
    };
  if (depth <= MAX_LOOP_DEPTH) return undefined;
  return {
    line: 0,
    message: `Contains nested for loops at a depth of ${depth}. Templates can nest for loops no more than ${MAX_LOOP_DEPTH} loops deep.`,
  };
}
