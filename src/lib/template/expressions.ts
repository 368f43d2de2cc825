/** Reads the expressions of templates. Only what checks need is kept of an expression: its kind and its line. */
import { pythonText } from "#lib/json-value";
import { TemplateFault } from "#lib/template/fault";
import { describeToken, TokenStream, type Wanted } from "#lib/template/stream";

/** An expression. `parts` are those of a tuple, to which values are assigned one by one. */
export interface Expression {
  /** The name of Jinja's class in small letters, as messages have it. */
  kind: string;
  line: number;
  name?: string;
  parts?: readonly Expression[];
}

interface TupleOptions {
  /** Only names and literals. */
  isSimple?: boolean;
  /** Names may have an attribute (`ns.x`). */
  withNamespace?: boolean;
  /** An expression may have `if` and `else`. */
  withCondition?: boolean;
  /** Whether brackets are around the tuple, so that it may be empty. */
  inBrackets?: boolean;
}

/** How deep expressions and statements may nest. The original stops at about 70. */
const MAX_DEPTH = 200;

const CONSTANTS = new Set(["true", "false", "True", "False", "none", "None"]);
const ARGUMENT_OF_TEST = ["name", "string", "integer", "float", "(", "[", "{"];

/** Reads expressions from a stream. */
export class ExpressionReader {
  protected readonly stream: TokenStream;
  #depth = 0;

  constructor(template: string) {
    this.stream = new TokenStream(template);
  }

  protected fail(message: string, line = this.stream.current.line): never {
    throw new TemplateFault(message, line);
  }

  /** Reads a part that may have parts of its own kind. */
  protected nested<T>(read: () => T): T {
    if (++this.#depth > MAX_DEPTH) this.fail(`Templates may nest to ${MAX_DEPTH} levels.`);
    const result = read();
    this.#depth--;
    return result;
  }

  /** Reads a tuple, or a single expression if there is no comma. */
  protected tuple(options: TupleOptions = {}): Expression {
    const { isSimple = false, withNamespace = false, withCondition = true, inBrackets = false } = options;
    let { line } = this.stream.current;
    const parts: Expression[] = [];
    let isTuple = false;
    for (;;) {
      if (parts.length > 0) this.stream.expect(",");
      if (this.stream.is("variable_end", "block_end", ")")) break;
      parts.push(isSimple ? this.#primary(withNamespace) : this.expression(withCondition));
      if (!this.stream.is(",")) break;
      isTuple = true;
      ({ line } = this.stream.current);
    }
    const [only] = parts;
    if (!isTuple && only) return only;
    if (!isTuple && !inBrackets) this.fail(`Expected an expression, got ${describeToken(this.stream.current)}`);
    return { kind: "tuple", line, parts };
  }

  /** Reads a name to which a value is assigned. */
  protected targetName(): Expression {
    const { line, value } = this.stream.expect("name");
    return this.#assignable({ kind: "name", line, name: value });
  }

  /** Reads the names to which values are assigned. */
  protected target(withNamespace = false): Expression {
    return this.#assignable(this.tuple({ withNamespace, isSimple: true }));
  }

  #assignable(target: Expression): Expression {
    if (!canAssign(target)) this.fail(`can't assign to ${pythonText(target.kind)}`, target.line);
    return target;
  }

  protected expression(withCondition = true): Expression {
    return this.nested(() => (withCondition ? this.#conditional() : this.#or()));
  }

  #conditional(): Expression {
    let { line } = this.stream.current;
    let result = this.#or();
    while (this.stream.skipIf("name:if")) {
      this.#or();
      if (this.stream.skipIf("name:else")) this.expression();
      result = { kind: "condexpr", line };
      ({ line } = this.stream.current);
    }
    return result;
  }

  #or(): Expression {
    return this.#chain({ "name:or": "or" }, () => this.#and());
  }

  #and(): Expression {
    return this.#chain({ "name:and": "and" }, () => this.#not());
  }

  #not(): Expression {
    if (!this.stream.is("name:not")) return this.#compare();
    const { line } = this.stream.next();
    this.nested(() => this.#not());
    return { kind: "not", line };
  }

  #compare(): Expression {
    const { line } = this.stream.current;
    let result = this.#sum();
    for (;;) {
      if (this.stream.is("==", "!=", "<", "<=", ">", ">=", "name:in")) this.stream.next();
      else if (this.stream.is("name:not") && isIn(this.stream)) this.#skip(2);
      else return result;
      this.#sum();
      result = { kind: "compare", line };
    }
  }

  #sum(): Expression {
    return this.#chain({ "+": "add", "-": "sub" }, () => this.#concatenation());
  }

  #concatenation(): Expression {
    return this.#chain({ "~": "concat" }, () => this.#product());
  }

  #product(): Expression {
    return this.#chain({ "*": "mul", "/": "div", "//": "floordiv", "%": "mod" }, () => this.#power());
  }

  #power(): Expression {
    return this.#chain({ "**": "pow" }, () => this.#unary());
  }

  /** Reads operands with operators between them. `kinds` has the kind of the whole by the operator. */
  #chain(kinds: Readonly<Record<Wanted, string>>, operand: () => Expression): Expression {
    let { line } = this.stream.current;
    let result = operand();
    for (;;) {
      const found = Object.keys(kinds).find((operator) => this.stream.is(operator));
      if (found === undefined) return result;
      this.stream.next();
      operand();
      result = { kind: kinds[found] ?? "", line };
      ({ line } = this.stream.current);
    }
  }

  #unary(withFilters = true): Expression {
    const { line } = this.stream.current;
    let result: Expression;
    if (this.stream.is("-", "+")) {
      const kind = this.stream.next().value === "-" ? "neg" : "pos";
      this.nested(() => this.#unary(false));
      result = { kind, line };
    } else result = this.#primary();
    result = this.#postfix(result);
    return withFilters ? this.#filtersOf(result) : result;
  }

  #primary(withNamespace = false): Expression {
    const { line, type } = this.stream.current;
    if (type === "name") return this.#named(withNamespace);
    if (type === "string") {
      while (this.stream.is("string")) this.stream.next();
      return { kind: "const", line };
    }
    if (type === "integer" || type === "float") {
      this.stream.next();
      return { kind: "const", line };
    }
    if (type === "(") return this.#bracketed();
    if (type === "[") return this.#items("]", "list", () => this.expression());
    if (type === "{") return this.#items("}", "dict", () => this.#pair());
    return this.fail(`unexpected ${describeToken(this.stream.current)}`, line);
  }

  #named(withNamespace: boolean): Expression {
    const { line, value } = this.stream.next();
    if (CONSTANTS.has(value)) return { kind: "const", line };
    if (!withNamespace || !this.stream.skipIf(".")) return { kind: "name", line, name: value };
    this.stream.expect("name");
    return { kind: "nsref", line };
  }

  #bracketed(): Expression {
    this.stream.next();
    const result = this.tuple({ inBrackets: true });
    this.stream.expect(")");
    return result;
  }

  #items(end: string, kind: string, read: () => void): Expression {
    const { line } = this.stream.next();
    for (let isFirst = true; !this.stream.is(end); isFirst = false) {
      if (!isFirst) this.stream.expect(",");
      if (this.stream.is(end)) break;
      read();
    }
    this.stream.expect(end);
    return { kind, line };
  }

  #pair(): void {
    this.expression();
    this.stream.expect(":");
    this.expression();
  }

  #postfix(of: Expression): Expression {
    let result = of;
    for (;;) {
      if (this.stream.is(".")) result = this.#attribute();
      else if (this.stream.is("[")) result = this.#subscript();
      else if (this.stream.is("(")) result = this.#call();
      else return result;
    }
  }

  #attribute(): Expression {
    const { line } = this.stream.next();
    const token = this.stream.next();
    if (token.type === "name") return { kind: "getattr", line };
    if (token.type !== "integer") this.fail("expected name or number", token.line);
    return { kind: "getitem", line };
  }

  #subscript(): Expression {
    const { line } = this.stream.next();
    for (let isFirst = true; !this.stream.is("]"); isFirst = false) {
      if (!isFirst) this.stream.expect(",");
      this.#slice();
    }
    this.stream.expect("]");
    return { kind: "getitem", line };
  }

  /** Reads an index, or two or three of them with colons between them, each of which may be absent. */
  #slice(): void {
    if (!this.stream.is(":")) this.expression();
    if (!this.stream.skipIf(":")) return;
    if (!this.stream.is(":", "]", ",")) this.expression();
    if (this.stream.skipIf(":") && !this.stream.is("]", ",")) this.expression();
  }

  #call(): Expression {
    const { line } = this.stream.current;
    this.#callArguments();
    return { kind: "call", line };
  }

  #callArguments(): void {
    const { line } = this.stream.expect("(");
    const seen = { named: false, list: false, names: false };
    const ensure = (isRight: boolean) => {
      if (!isRight) this.fail("invalid syntax for function call expression", line);
    };
    for (let isFirst = true; !this.stream.is(")"); isFirst = false) {
      if (!isFirst) this.stream.expect(",");
      if (this.stream.is(")")) break;
      if (this.stream.skipIf("*")) {
        ensure(!seen.list && !seen.names);
        seen.list = true;
      } else if (this.stream.skipIf("**")) {
        ensure(!seen.names);
        seen.names = true;
      } else if (this.stream.is("name") && this.stream.look().type === "=") {
        ensure(!seen.names);
        this.#skip(2);
        seen.named = true;
      } else ensure(!seen.list && !seen.names && !seen.named);
      this.expression();
    }
    this.stream.expect(")");
  }

  #filtersOf(of: Expression): Expression {
    let result = of;
    for (;;) {
      if (this.stream.is("|")) result = this.filters(result);
      else if (this.stream.is("name:is")) result = this.#test();
      else if (this.stream.is("(")) result = this.#call();
      else return result;
    }
  }

  /** Reads filters. With `isInline` the first one has no `|`. */
  protected filters(of: Expression | undefined, isInline = false): Expression {
    let result = of ?? { kind: "filter", line: this.stream.current.line };
    for (let isFirst = isInline; isFirst || this.stream.is("|"); isFirst = false) {
      if (!isFirst) this.stream.next();
      const { line } = this.#dottedName();
      if (this.stream.is("(")) this.#callArguments();
      result = { kind: "filter", line };
    }
    return result;
  }

  #dottedName() {
    const token = this.stream.expect("name");
    while (this.stream.skipIf(".")) this.stream.expect("name");
    return token;
  }

  #test(): Expression {
    const { line } = this.stream.next();
    const kind = this.stream.skipIf("name:not") ? "not" : "test";
    this.#dottedName();
    if (this.stream.is("(")) this.#callArguments();
    else if (this.stream.is(...ARGUMENT_OF_TEST) && !this.stream.is("name:else", "name:or", "name:and")) {
      if (this.stream.is("name:is")) this.fail("You cannot chain multiple tests with is");
      this.#postfix(this.#primary());
    }
    return { kind, line };
  }

  #skip(count: number): void {
    for (let skipped = 0; skipped < count; skipped++) this.stream.next();
  }
}

function canAssign({ kind, name, parts }: Expression): boolean {
  if (kind === "tuple") return (parts ?? []).every(canAssign);
  return kind === "nsref" || (kind === "name" && name !== undefined && !CONSTANTS.has(name));
}

const isIn = (stream: TokenStream): boolean => {
  const { type, value } = stream.look();
  return type === "name" && value === "in";
};
