/** Splits a template of Jinja into tokens. */
import { pythonText } from "#lib/json-value";
import { TemplateFault } from "#lib/template/fault";
import { checkEscapes } from "#lib/template/escapes";

/** A part of a template. */
export interface Token {
  line: number;
  /** `data`, `block_begin`, `name`, `string`, `integer`, `float`, `eof`, or an operator itself (`==`). */
  type: string;
  value: string;
}

const OPERATORS = /\/\/|\*\*|==|!=|>=|<=|[-+/*%~[\](){}><=.:|,;]/y;
const SPACE = /\s+/y;
const FLOAT = /(?<!\.)(?:\d+_)*\d+(?:(?:\.(?:\d+_)*\d+)?e[-+]?(?:\d+_)*\d+|\.(?:\d+_)*\d+)/iy;
const INTEGER = /0b(?:_?[01])+|0o(?:_?[0-7])+|0x(?:_?[\da-f])+|[1-9](?:_?\d)*|0(?:_?0)*/iy;
const WORD = /[\p{L}\p{M}\p{N}_]+/uy;
const TEXT = /'[^'\\]*(?:\\.[^'\\]*)*'|"[^"\\]*(?:\\.[^"\\]*)*"/sy;
const IDENTIFIER = /^[\p{ID_Start}_]\p{ID_Continue}*$/u;

const RAW_BEGIN = /\{%[-+]?\s*raw\s*(?:-%\}\s*|%\})/y;
const RAW_END = /\{%([-+]?)\s*endraw\s*(?:\+%\}|-%\}\s*|%\})/g;
const COMMENT_END = /\+#\}|-#\}\s*|#\}/g;
const BEGIN = /\{[{%#]/g;
/** How each kind of tag ends. */
const ENDS = { block: /\+%\}|-%\}\s*|%\}/y, variable: /-\}\}\s*|\}\}/y };

const CLOSING: Partial<Record<string, string>> = { "{": "}", "(": ")", "[": "]" };
const KINDS: readonly (readonly [type: string, pattern: RegExp])[] = [
  ["float", FLOAT],
  ["integer", INTEGER],
  ["name", WORD],
  ["string", TEXT],
  ["", OPERATORS],
];

/** The tokens of a template, without comments and spaces. Throws `TemplateFault` where a token cannot be read. */
export function* tokensOf(template: string): Generator<Token, undefined> {
  // Jinja drops one line break at the end.
  const lexer = new Lexer(template.replaceAll(/\r\n|\r/g, "\n").replace(/\n$/, ""));
  while (!lexer.isAtEnd) yield* lexer.data();
  return undefined;
}

class Lexer {
  readonly #source: string;
  #at = 0;
  #line = 1;

  constructor(source: string) {
    this.#source = source;
  }

  get isAtEnd(): boolean {
    return this.#at >= this.#source.length;
  }

  /** The text up to the next tag, and the tokens of that tag. */
  *data(): Generator<Token, undefined> {
    const found = search(BEGIN, this.#source, this.#at);
    if (!found) {
      yield* this.#dataUpTo(this.#source.length, "");
      return undefined;
    }
    yield* this.#dataUpTo(found.index, this.#source.charAt(found.index + 2));
    const raw = this.#take(RAW_BEGIN);
    if (raw !== undefined) yield* this.#raw();
    else if (found[0] === "{#") this.#comment();
    else yield* this.#tag(found[0] === "{%" ? "block" : "variable");
    return undefined;
  }

  /** A `-` behind the beginning of a tag removes the spaces before it. */
  *#dataUpTo(end: number, sign: string): Generator<Token, undefined> {
    const text = this.#source.slice(this.#at, end);
    const value = sign === "-" ? text.trimEnd() : text;
    if (value !== "") yield { line: this.#line, type: "data", value };
    this.#advance(text);
    return undefined;
  }

  *#raw(): Generator<Token, undefined> {
    const found = search(RAW_END, this.#source, this.#at);
    if (!found && this.isAtEnd) return undefined;
    if (!found) throw new TemplateFault("Missing end of raw directive", this.#line);
    yield* this.#dataUpTo(found.index, found[1] ?? "");
    this.#advance(found[0]);
    return undefined;
  }

  #comment(): void {
    this.#advance(this.#source.slice(this.#at, this.#at + 2));
    this.#takeSign();
    const found = search(COMMENT_END, this.#source, this.#at);
    if (!found && this.isAtEnd) return;
    if (!found) throw new TemplateFault("Missing end of comment tag", this.#line);
    this.#advance(this.#source.slice(this.#at, found.index) + found[0]);
  }

  *#tag(kind: keyof typeof ENDS): Generator<Token, undefined> {
    yield { line: this.#line, type: `${kind}_begin`, value: "" };
    this.#advance(this.#source.slice(this.#at, this.#at + 2));
    this.#takeSign();
    /** The brackets that are open. Between brackets the tag does not end. */
    const open: string[] = [];
    while (!this.isAtEnd) {
      const line = this.#line;
      const end = open.length === 0 ? this.#take(ENDS[kind]) : undefined;
      if (end !== undefined) {
        yield { line, type: `${kind}_end`, value: end };
        return undefined;
      }
      if (this.#take(SPACE) === undefined) yield this.#token(open);
    }
    return undefined;
  }

  #token(open: string[]): Token {
    const line = this.#line;
    for (const [type, pattern] of KINDS) {
      const value = this.#take(pattern);
      if (value === undefined) continue;
      if (type === "") balance(value, open, line);
      if (type === "string") checkEscapes(value.slice(1, -1), line);
      if (type === "name" && !IDENTIFIER.test(value)) throw new TemplateFault("Invalid character in identifier", line);
      return { line, type: type || value, value };
    }
    const before = Array.from(this.#source.slice(0, this.#at)).length;
    const character = String.fromCodePoint(this.#source.codePointAt(this.#at) ?? 0);
    throw new TemplateFault(`unexpected char ${pythonText(character)} at ${before}`, line);
  }

  #takeSign(): void {
    if ("-+".includes(this.#source.charAt(this.#at) || " ")) this.#at++;
  }

  /** Takes the text that the pattern finds here. */
  #take(pattern: RegExp): string | undefined {
    pattern.lastIndex = this.#at;
    const found = pattern.exec(this.#source)?.[0];
    if (found !== undefined) this.#advance(found);
    return found;
  }

  #advance(text: string): void {
    this.#at += text.length;
    this.#line += text.split("\n").length - 1;
  }
}

function balance(operator: string, open: string[], line: number): void {
  const closing = CLOSING[operator];
  if (closing !== undefined) open.push(closing);
  if (!"})]".includes(operator)) return;
  const expected = open.pop();
  if (expected === undefined) throw new TemplateFault(`unexpected '${operator}'`, line);
  if (expected !== operator) throw new TemplateFault(`unexpected '${operator}', expected '${expected}'`, line);
}

function search(pattern: RegExp, text: string, from: number): RegExpExecArray | null {
  pattern.lastIndex = from;
  return pattern.exec(text);
}
