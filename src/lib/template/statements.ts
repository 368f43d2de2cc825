/** Reads the statements of templates, and counts the loops. */
import { pythonText } from "#lib/json-value";
import { ExpressionReader } from "#lib/template/expressions";
import { describeWanted, isWanted, type Wanted } from "#lib/template/stream";

/** The loops of a template: how many, and how deep they nest. */
export interface Loops {
  count: number;
  depth: number;
}

/** What a body between two tags may have, if it must be without content. */
type Content = "nothing" | "something";

/** Reads a whole template. Throws `TemplateFault`. */
export class TemplateReader extends ExpressionReader {
  readonly loops: Loops = { count: 0, depth: 0 };
  #openLoops = 0;
  /** The tags that are open, and the tags that would end their bodies. */
  readonly #tags: string[] = [];
  readonly #ends: (readonly Wanted[])[] = [];

  /** Reads up to one of the tags, or to the end of the template. */
  body(ends?: readonly Wanted[]): Content {
    if (ends) this.#ends.push(ends);
    let content: Content = "nothing";
    while (!this.stream.is("eof")) {
      const token = this.stream.next();
      if (token.type === "data") {
        if (token.value.trim() !== "") content = "something";
        continue;
      }
      if (token.type === "block_begin" && ends && this.stream.is(...ends)) break;
      content = "something";
      if (token.type === "variable_begin") this.tuple();
      else this.nested(() => this.#statement());
      this.stream.expect(token.type === "variable_begin" ? "variable_end" : "block_end");
    }
    if (ends) this.#ends.pop();
    return content;
  }

  /** Reads the rest of a tag, the body behind it, and the name of the tag that ends it. */
  #statements(...ends: Wanted[]): { end: string; content: Content } {
    this.stream.skipIf(":");
    this.stream.expect("block_end");
    const content = this.body(ends);
    if (this.stream.is("eof")) this.#failAtEnd(null, [...this.#ends, ends]);
    return { end: this.stream.next().value, content };
  }

  #statement(): void {
    const { type, value, line } = this.stream.current;
    if (type !== "name") this.fail("tag name expected", line);
    const read = STATEMENTS.get(value);
    if (!read) this.#failAtEnd(value, this.#ends, line);
    this.#tags.push(value);
    this.stream.next();
    read(this, line);
    this.#tags.pop();
  }

  /** The template has ended, or a tag is not known. */
  #failAtEnd(name: string | null, stack: readonly (readonly Wanted[])[], line?: number): never {
    const looking = stack.at(-1)?.map(describeWanted).join(" or ");
    const isKnown =
      name !== null && stack.flat().some((wanted) => isWanted({ type: "name", value: name, line: 0 }, wanted));
    const parts = [name === null ? "Unexpected end of template." : `Encountered unknown tag ${pythonText(name)}.`];
    if (looking !== undefined && isKnown)
      parts.push(
        `You probably made a nesting mistake. Jinja is expecting this tag, but currently looking for ${looking}.`,
      );
    else if (looking !== undefined) parts.push(`Jinja was looking for the following tags: ${looking}.`);
    const open = this.#tags.at(-1);
    if (open !== undefined) parts.push(`The innermost block that needs to be closed is ${pythonText(open)}.`);
    return this.fail(parts.join(" "), line);
  }

  readFor(): void {
    this.loops.count++;
    this.loops.depth = Math.max(this.loops.depth, ++this.#openLoops);
    this.target();
    this.stream.expect("name:in");
    this.tuple({ withCondition: false });
    if (this.stream.skipIf("name:if")) this.expression();
    this.stream.skipIf("name:recursive");
    if (this.#statements("name:endfor", "name:else").end === "else") this.#statements("name:endfor");
    this.#openLoops--;
  }

  readIf(): void {
    for (;;) {
      this.tuple({ withCondition: false });
      const { end } = this.#statements("name:elif", "name:else", "name:endif");
      if (end === "else") this.#statements("name:endif");
      if (end !== "elif") return;
    }
  }

  readSet(): void {
    this.target(true);
    if (this.stream.skipIf("=")) {
      this.tuple();
      return;
    }
    this.filters(undefined);
    this.#statements("name:endset");
  }

  readWith(): void {
    for (let isFirst = true; !this.stream.is("block_end"); isFirst = false) {
      if (!isFirst) this.stream.expect(",");
      this.target();
      this.stream.expect("=");
      this.expression();
    }
    this.#statements("name:endwith");
  }

  readAutoescape(): void {
    this.expression();
    this.#statements("name:endautoescape");
  }

  readBlock(): void {
    const { value: name } = this.stream.expect("name");
    this.stream.skipIf("name:scoped");
    const isRequired = this.stream.skipIf("name:required");
    if (this.stream.is("-"))
      this.fail(
        "Block names in Jinja have to be valid Python identifiers and may not contain hyphens, use an underscore instead.",
      );
    const { content } = this.#statements("name:endblock");
    if (isRequired && content === "something") this.fail("Required blocks can only contain comments or whitespace");
    this.stream.skipIf(`name:${name}`);
  }

  readExtends(): void {
    this.expression();
  }

  readPrint(): void {
    for (let isFirst = true; !this.stream.is("block_end"); isFirst = false) {
      if (!isFirst) this.stream.expect(",");
      this.expression();
    }
  }

  readMacro(): void {
    this.targetName();
    this.#signature();
    this.#statements("name:endmacro");
  }

  readCall(line: number): void {
    if (this.stream.is("(")) this.#signature();
    if (this.expression().kind !== "call") this.fail("expected call", line);
    this.#statements("name:endcall");
  }

  readFilter(): void {
    this.filters(undefined, true);
    this.#statements("name:endfilter");
  }

  readInclude(): void {
    this.expression();
    if (this.stream.is("name:ignore") && isWanted(this.stream.look(), "name:missing")) {
      this.stream.next();
      this.stream.next();
    }
    this.#context();
  }

  readImport(): void {
    this.expression();
    this.stream.expect("name:as");
    this.targetName();
    this.#context();
  }

  readFrom(): void {
    this.expression();
    this.stream.expect("name:import");
    for (let isFirst = true; ; isFirst = false) {
      if (!isFirst) this.stream.expect(",");
      if (!this.stream.is("name")) this.stream.expect("name");
      if (this.#context()) return;
      const { name = "", line } = this.targetName();
      if (name.startsWith("_")) this.fail("names starting with an underline can not be imported", line);
      if (this.stream.skipIf("name:as")) this.targetName();
      if (this.#context() || !this.stream.is(",")) return;
    }
  }

  /** Reads `with context` or `without context`. */
  #context(): boolean {
    if (!this.stream.is("name:with", "name:without") || !isWanted(this.stream.look(), "name:context")) return false;
    this.stream.next();
    this.stream.next();
    return true;
  }

  #signature(): void {
    this.stream.expect("(");
    let hasDefaults = false;
    for (let isFirst = true; !this.stream.is(")"); isFirst = false) {
      if (!isFirst) this.stream.expect(",");
      this.targetName();
      if (this.stream.skipIf("=")) {
        this.expression();
        hasDefaults = true;
      } else if (hasDefaults) this.fail("non-default argument follows default argument");
    }
    this.stream.expect(")");
  }
}

/** How each statement is read, behind its name. */
const STATEMENTS: ReadonlyMap<string, (reader: TemplateReader, line: number) => void> = new Map(
  Object.entries({
    for: (reader: TemplateReader) => reader.readFor(),
    if: (reader: TemplateReader) => reader.readIf(),
    set: (reader: TemplateReader) => reader.readSet(),
    with: (reader: TemplateReader) => reader.readWith(),
    autoescape: (reader: TemplateReader) => reader.readAutoescape(),
    block: (reader: TemplateReader) => reader.readBlock(),
    extends: (reader: TemplateReader) => reader.readExtends(),
    print: (reader: TemplateReader) => reader.readPrint(),
    macro: (reader: TemplateReader) => reader.readMacro(),
    call: (reader: TemplateReader, line: number) => reader.readCall(line),
    filter: (reader: TemplateReader) => reader.readFilter(),
    include: (reader: TemplateReader) => reader.readInclude(),
    import: (reader: TemplateReader) => reader.readImport(),
    from: (reader: TemplateReader) => reader.readFrom(),
  }),
);
