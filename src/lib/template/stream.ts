/** The tokens of a template one after the other, with a look at the next one. */
import { pythonText } from "#lib/json-value";
import { TemplateFault } from "#lib/template/fault";
import { type Token, tokensOf } from "#lib/template/lexer";

const DESCRIPTIONS: Partial<Record<string, string>> = {
  block_begin: "begin of statement block",
  block_end: "end of statement block",
  variable_begin: "begin of print statement",
  variable_end: "end of print statement",
  data: "template data / text",
  eof: "end of template",
};

/** A type of tokens, or a name: `name:endfor`. */
export type Wanted = string;

/** Whether a token is wanted. */
export function isWanted(token: Token, wanted: Wanted): boolean {
  return token.type === wanted || (token.type === "name" && wanted === `name:${token.value}`);
}

/** What a message calls a token. */
export const describeToken = ({ type, value }: Token): string =>
  pythonText(type === "name" ? value : (DESCRIPTIONS[type] ?? type));

/** What a message calls a wanted token. */
export function describeWanted(wanted: Wanted): string {
  return pythonText(wanted.startsWith("name:") ? wanted.slice("name:".length) : (DESCRIPTIONS[wanted] ?? wanted));
}

/** The tokens of a template. Each is read when the one before becomes the present one. */
export class TokenStream {
  /** The present token; `eof` behind the last one. */
  current: Token = { line: 1, type: "initial", value: "" };
  readonly #tokens: Iterator<Token, undefined>;
  #after: Token | undefined;

  constructor(template: string) {
    this.#tokens = tokensOf(template);
    this.next();
  }

  /** Goes on to the next token, and gives the one before. */
  next(): Token {
    const { current } = this;
    const read = this.#after ?? this.#tokens.next().value;
    this.#after = undefined;
    this.current = read ?? { line: current.line, type: "eof", value: "" };
    return current;
  }

  /** The token behind the present one. */
  look(): Token {
    const present = this.next();
    this.#after = this.current;
    this.current = present;
    return this.#after;
  }

  is(...wanted: Wanted[]): boolean {
    return wanted.some((one) => isWanted(this.current, one));
  }

  /** Goes on if the present token is wanted. */
  skipIf(wanted: Wanted): boolean {
    const isHere = this.is(wanted);
    if (isHere) this.next();
    return isHere;
  }

  /** Goes on, and gives the present token. Throws `TemplateFault` for another token. */
  expect(wanted: Wanted): Token {
    if (this.is(wanted)) return this.next();
    const { current } = this;
    const expected = describeWanted(wanted);
    if (current.type === "eof")
      throw new TemplateFault(`unexpected end of template, expected ${expected}.`, current.line);
    throw new TemplateFault(`expected token ${expected}, got ${describeToken(current)}`, current.line);
  }
}
