/** The error for a template that cannot be read. */

/** A fault of a template. The messages are those of Jinja, which clients show. */
export class TemplateFault extends Error {
  /** From 1; 0 for a fault of the whole template. */
  readonly line: number;

  constructor(message: string, line: number) {
    super(message);
    this.line = line;
  }
}
