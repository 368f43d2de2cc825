/** Reads regular expressions in the syntax of Python's `re` into trees. */
import { anyOf, between, classOf, type Has, inAnyCase, noneOf } from "#lib/pattern/characters";
import { boundary, NEWLINE, NOTHING, PLACES, type Tree, widthOf } from "#lib/pattern/tree";

/** A text that Python does not accept as a pattern. */
export class InvalidPattern extends Error {}

/** A pattern that Python accepts and that cannot be searched for in linear time. */
export class UnsupportedPattern extends Error {}

/** Reads a pattern. Throws `InvalidPattern` and `UnsupportedPattern`. */
export function readPattern(source: string): Tree {
  if (source.length > MAX_LENGTH) throw new UnsupportedPattern(`it is longer than ${MAX_LENGTH} characters`);
  return new Reader(source).read();
}

const MAX_LENGTH = 10_000;
const MAX_NESTING = 100;
/** Python's bound of repetitions. */
const MAX_REPETITIONS = 4_294_967_295;

type FlagName = "i" | "m" | "s" | "x" | "a";
type Flags = Record<FlagName, boolean>;

class Reader {
  readonly #source: string[];
  #at = 0;
  #nesting = 0;
  /** The content of each group; undefined until the group's end is read. */
  readonly #groups: (Tree | undefined)[] = [];
  readonly #names = new Map<string, number>();
  /** How many groups come before the outermost look-behind that is being read. */
  #groupsBefore: number | undefined;
  /** The reason why a valid pattern takes more than linear time. It is thrown after the whole pattern has proved valid. */
  #unsupported: string | undefined;

  constructor(source: string) {
    this.#source = Array.from(source);
  }

  read(): Tree {
    const tree = this.#choice({ i: false, m: false, s: false, x: false, a: false }, true);
    if (this.#at < this.#source.length) throw new InvalidPattern("unbalanced parenthesis");
    if (this.#unsupported !== undefined) throw new UnsupportedPattern(this.#unsupported);
    return tree;
  }

  #peek(): string | undefined {
    return this.#source[this.#at];
  }

  #next(): string {
    const char = this.#source[this.#at++];
    if (char === undefined) throw new InvalidPattern("unexpected end of pattern");
    return char;
  }

  #eat(char: string): boolean {
    if (this.#peek() !== char) return false;
    this.#at++;
    return true;
  }

  /** Reads the characters before `end`, and `end` itself. */
  #until(end: string): string {
    const from = this.#at;
    while (this.#next() !== end);
    return this.#source.slice(from, this.#at - 1).join("");
  }

  #many(isWanted: (char: string) => boolean, most = Number.POSITIVE_INFINITY): string {
    const from = this.#at;
    for (let char = this.#peek(); char !== undefined && isWanted(char) && this.#at - from < most; char = this.#peek())
      this.#at++;
    return this.#source.slice(from, this.#at).join("");
  }

  #choice(flags: Flags, isOutermost = false): Tree & { kind: "choice" } {
    if (++this.#nesting > MAX_NESTING) throw new UnsupportedPattern("its groups nest too deep");
    const parts = [this.#sequence(flags, isOutermost)];
    while (this.#eat("|")) parts.push(this.#sequence(flags, false));
    this.#nesting--;
    return { kind: "choice", parts };
  }

  #sequence(flags: Flags, mayHaveFlags: boolean): Tree {
    const parts: Tree[] = [];
    for (let char = this.#peek(); char !== undefined && char !== "|" && char !== ")"; char = this.#peek()) {
      this.#at++;
      if (flags.x && /[ \t\n\r\v\f]/.test(char)) continue;
      if (flags.x && char === "#") {
        this.#many((other) => other !== "\n");
        continue;
      }
      const repeated = this.#repetition(char);
      if (repeated) {
        parts.push(this.#repeat(parts.pop(), repeated));
        continue;
      }
      const part = this.#part(char, flags, mayHaveFlags && parts.length === 0);
      if (part) parts.push(part);
    }
    return { kind: "sequence", parts };
  }

  /** Reads how often the previous part is repeated, if this character begins a repetition. */
  #repetition(char: string): [least: number, most: number] | undefined {
    if (char === "*") return [0, Number.POSITIVE_INFINITY];
    if (char === "+") return [1, Number.POSITIVE_INFINITY];
    if (char === "?") return [0, 1];
    if (char !== "{" || this.#peek() === "}") return undefined;
    const from = this.#at;
    const low = this.#many(isDigit);
    const high = this.#eat(",") ? this.#many(isDigit) || "Infinity" : low;
    if (high === "" || !this.#eat("}")) {
      this.#at = from;
      return undefined;
    }
    const [least, most] = [Number(low), Number(high)];
    if (least >= MAX_REPETITIONS || (most >= MAX_REPETITIONS && high !== "Infinity"))
      throw new InvalidPattern("the repetition number is too large");
    if (most < least) throw new InvalidPattern("min repeat greater than max repeat");
    return [least, most];
  }

  #repeat(part: Tree | undefined, [least, most]: [number, number]): Tree {
    if (!part || part.kind === "place") throw new InvalidPattern("nothing to repeat");
    if (part.kind === "repeat") throw new InvalidPattern("multiple repeat");
    // A lazy repetition has the same matches.
    if (!this.#eat("?") && this.#eat("+")) this.#unsupported = "it has a possessive repetition";
    return { kind: "repeat", part, least, most };
  }

  #part(char: string, flags: Flags, mayHaveFlags: boolean): Tree | undefined {
    switch (char) {
      case "^":
        return flags.m ? PLACES.lineStart : PLACES.start;
      case "$":
        return flags.m ? PLACES.lineEnd : PLACES.lastLineEnd;
      case ".":
        return one(flags.s ? () => true : (character) => character !== NEWLINE);
      case "[":
        return this.#set(flags);
      case "(":
        return this.#group(flags, mayHaveFlags);
      case "\\":
        return this.#escape(flags);
      default:
        return literal(char.codePointAt(0) ?? 0, flags);
    }
  }

  #escape(flags: Flags): Tree {
    const char = this.#next();
    if (char === "A") return PLACES.start;
    if (char === "Z") return PLACES.end;
    if (char === "b" || char === "B") return boundary(classOf("w", flags.a), char === "b");
    const named = classNamed(char, flags);
    if (named) return one(named);
    if (char !== "0" && isDigit(char)) {
      const second = this.#peek() ?? "";
      const third = this.#source[this.#at + 1] ?? "";
      if (!(isOctal(char) && isOctal(second) && isOctal(third)))
        return this.#reference(Number(char + this.#many(isDigit, 1)));
    }
    return literal(this.#escaped(char), flags);
  }

  /** Reads the character that follows a backslash, within sets and outside. */
  #escaped(char: string): number {
    const plain = PLAIN_ESCAPES[char];
    if (plain !== undefined) return plain;
    const digits = HEX_ESCAPES[char];
    if (digits !== undefined) {
      const text = this.#many((other) => /[0-9a-fA-F]/.test(other), digits);
      const value = Number.parseInt(text, 16);
      if (text.length !== digits || value > 0x10_ff_ff) throw new InvalidPattern(`incomplete escape \\${char}`);
      return value;
    }
    if (char === "N") {
      if (!this.#eat("{") || this.#until("}") === "") throw new InvalidPattern("missing character name");
      this.#unsupported = "it names a character";
      return 0;
    }
    if (isOctal(char)) {
      const value = Number.parseInt(char + this.#many(isOctal, 2), 8);
      if (value > 0o377) throw new InvalidPattern("octal escape value outside of range 0-0o377");
      return value;
    }
    if (/[0-9a-zA-Z]/.test(char)) throw new InvalidPattern(`bad escape \\${char}`);
    return char.codePointAt(0) ?? 0;
  }

  #reference(group: number): Tree {
    if (group < 1 || group > this.#groups.length) throw new InvalidPattern(`invalid group reference ${group}`);
    const referred = this.#groups[group - 1];
    if (!referred) throw new InvalidPattern("cannot refer to an open group");
    this.#refuseWithin(group);
    this.#unsupported = "it has a back-reference";
    return referred;
  }

  #refuseWithin(group: number): void {
    if (this.#groupsBefore !== undefined && group > this.#groupsBefore)
      throw new InvalidPattern("cannot refer to group defined in the same lookbehind subpattern");
  }

  #set(flags: Flags): Tree {
    const isNegated = this.#eat("^");
    const sets: Has[] = [];
    for (;;) {
      if (this.#peek() === undefined) throw new InvalidPattern("unterminated character set");
      if (sets.length > 0 && this.#eat("]")) break;
      const low = this.#member(flags);
      if (!this.#eat("-")) {
        sets.push(asSet(low));
        continue;
      }
      if (this.#eat("]")) {
        sets.push(asSet(low), asSet(45));
        break;
      }
      const high = this.#member(flags);
      if (typeof low !== "number" || typeof high !== "number" || high < low)
        throw new InvalidPattern("bad character range");
      sets.push(between(low, high));
    }
    const has = flags.i ? inAnyCase(anyOf(sets), flags.a) : anyOf(sets);
    return { kind: "characters", has: isNegated ? noneOf(has) : has, cost: sets.length };
  }

  #member(flags: Flags): number | Has {
    const char = this.#next();
    if (char !== "\\") return char.codePointAt(0) ?? 0;
    const escaped = this.#next();
    if (escaped === "b") return 8;
    return classNamed(escaped, flags) ?? this.#escaped(escaped);
  }

  #group(flags: Flags, mayHaveFlags: boolean): Tree | undefined {
    if (!this.#eat("?")) return this.#capture(flags);
    const char = this.#next();
    switch (char) {
      case "P":
        return this.#named(flags);
      case ":":
        return this.#inside(flags);
      case "#":
        this.#until(")");
        return undefined;
      case "=":
      case "!":
        return { kind: "look", part: this.#inside(flags), isAhead: true, isWanted: char === "=" };
      case "<":
        return this.#behind(flags);
      case ">":
        this.#unsupported = "it has an atomic group";
        return this.#inside(flags);
      case "(":
        return this.#conditional(flags);
      default:
        this.#at--;
        return this.#flags(flags, mayHaveFlags);
    }
  }

  #inside(flags: Flags): Tree {
    const part = this.#choice(flags);
    if (!this.#eat(")")) throw new InvalidPattern("missing ), unterminated subpattern");
    // The content becomes one part, so that it can be repeated as a whole.
    return { kind: "sequence", parts: [part] };
  }

  #capture(flags: Flags): Tree {
    const index = this.#groups.push(undefined) - 1;
    const part = this.#inside(flags);
    this.#groups[index] = part;
    return part;
  }

  #named(flags: Flags): Tree {
    const char = this.#next();
    if (char === "=") return this.#reference(this.#numberOf(this.#until(")")));
    if (char !== "<") throw new InvalidPattern(`unknown extension ?P${char}`);
    const name = this.#until(">");
    if (!IDENTIFIER.test(name)) throw new InvalidPattern(`bad character in group name '${name}'`);
    if (this.#names.has(name)) throw new InvalidPattern(`redefinition of group name '${name}'`);
    this.#names.set(name, this.#groups.length + 1);
    return this.#capture(flags);
  }

  #numberOf(name: string): number {
    if (!IDENTIFIER.test(name)) throw new InvalidPattern(`bad character in group name '${name}'`);
    const group = this.#names.get(name);
    if (group === undefined) throw new InvalidPattern(`unknown group name '${name}'`);
    return group;
  }

  #behind(flags: Flags): Tree {
    const char = this.#next();
    if (char !== "=" && char !== "!") throw new InvalidPattern(`unknown extension ?<${char}`);
    const groupsBefore = this.#groupsBefore;
    this.#groupsBefore ??= this.#groups.length;
    const part = this.#inside(flags);
    this.#groupsBefore = groupsBefore;
    const [least, most] = widthOf(part);
    if (least !== most) throw new InvalidPattern("look-behind requires fixed-width pattern");
    return { kind: "look", part, isAhead: false, isWanted: char === "=" };
  }

  #conditional(flags: Flags): Tree {
    const name = this.#until(")");
    const group = /^\d+$/.test(name) ? Number(name) : this.#numberOf(name);
    if (group === 0) throw new InvalidPattern("bad group number");
    this.#refuseWithin(group);
    const part = this.#choice(flags);
    if (part.parts.length > 2) throw new InvalidPattern("conditional backref with more than two branches");
    if (!this.#eat(")")) throw new InvalidPattern("missing ), unterminated subpattern");
    this.#unsupported = "it asks whether a group matched";
    if (part.parts.length === 1) part.parts.push(NOTHING);
    return part;
  }

  /** Reads `(?i)` for the whole pattern, or `(?i-s:…)` for a part. */
  #flags(flags: Flags, mayHaveFlags: boolean): Tree | undefined {
    const on = this.#many((char) => "imsxau".includes(char));
    const off = this.#eat("-") ? this.#many((char) => "imsx".includes(char)) : undefined;
    const end = this.#next();
    const isWhole = end === ")" && off === undefined && on !== "";
    if ((!isWhole && end !== ":") || off === "") throw new InvalidPattern(`unknown extension ?${on}${end}`);
    if (on.includes("a") && on.includes("u")) throw new InvalidPattern("bad inline flags: flags are incompatible");
    const isBoth = Array.from(on).some((flag) => off?.includes(flag));
    if (isBoth) throw new InvalidPattern("bad inline flags: flag turned on and off");
    const changed = isWhole ? flags : { ...flags };
    for (const flag of on) {
      if (flag === "u") changed.a = false;
      else changed[flag as FlagName] = true;
    }
    for (const flag of off ?? "") changed[flag as FlagName] = false;
    if (!isWhole) return this.#inside(changed);
    if (!mayHaveFlags) throw new InvalidPattern("global flags not at the start of the expression");
    return undefined;
  }
}

const IDENTIFIER = /^[\p{ID_Start}_]\p{ID_Continue}*$/u;
const PLAIN_ESCAPES: Partial<Record<string, number>> = { a: 7, f: 12, n: 10, r: 13, t: 9, v: 11, "\\": 92 };
const HEX_ESCAPES: Partial<Record<string, number>> = { x: 2, u: 4, U: 8 };

const isDigit = (char: string) => char >= "0" && char <= "9" && char.length === 1;
const isOctal = (char: string) => char >= "0" && char <= "7" && char.length === 1;
const asSet = (member: number | Has): Has => (typeof member === "number" ? between(member, member) : member);
const one = (has: Has): Tree => ({ kind: "characters", has, cost: 1 });

function literal(character: number, flags: Flags): Tree {
  const has = between(character, character);
  return one(flags.i ? inAnyCase(has, flags.a) : has);
}

function classNamed(char: string, flags: Flags): Has | undefined {
  const lower = char.toLowerCase();
  if (lower !== "d" && lower !== "w" && lower !== "s") return undefined;
  const has = classOf(lower, flags.a);
  return char === lower ? has : noneOf(has);
}
