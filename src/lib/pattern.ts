/**
 * Users' regular expressions, in the syntax of Python's `re`, in linear time. A search follows all possible matches at once, character
 * by character. It takes at most as many steps as the pattern's size times the text's length, and counts them.
 */
import type { Has } from "#lib/pattern/characters";
import { InvalidPattern, readPattern, UnsupportedPattern } from "#lib/pattern/syntax";
import type { Text, Tree } from "#lib/pattern/tree";
import type { Steps } from "#lib/steps";

/** How many points a pattern may have after its repetitions are expanded. */
const MAX_SIZE = 10_000;

/** A pattern that can be searched for. */
export class Pattern {
  readonly #program: Program;

  /** Throws `InvalidPattern` for a pattern that Python refuses, `UnsupportedPattern` for a pattern that takes more than linear time. */
  constructor(source: string) {
    const tree = readPattern(source);
    if (sizeOf(tree) > MAX_SIZE) throw new UnsupportedPattern("it is too large with its repetitions written out");
    this.#program = compile(tree, false);
  }

  /** Whether the text has a match anywhere, as in `re.search`. Throws `TooManySteps`. */
  isFoundIn(text: string, steps: Steps): boolean {
    steps.spend(text.length);
    const characters = Uint32Array.from(text, (character) => character.codePointAt(0) ?? 0);
    return !new Search(characters, steps).ends(this.#program).next().done;
  }
}

/** Whether Python accepts a text as a pattern. */
export function isPattern(source: string): boolean {
  try {
    return readPattern(source) !== undefined;
  } catch (error) {
    if (error instanceof UnsupportedPattern) return true;
    if (error instanceof InvalidPattern) return false;
    throw error;
  }
}

/** One instruction of a program. The next instruction is the next point, unless this instruction names another point. */
type Point =
  | { op: "character"; has: Has; cost: number }
  | { op: "fork"; to: number }
  | { op: "jump"; to: number }
  | { op: "place"; holds: (text: Text, at: number) => boolean }
  | { op: "look"; program: Program; isWanted: boolean }
  | { op: "found" };

/** A pattern as a list of instructions. A backward program reads the text from its end. */
interface Program {
  points: Point[];
  isBackward: boolean;
}

/** How many points a tree has. At least one, because an empty part may also be repeated without end. */
function sizeOf(tree: Tree): number {
  switch (tree.kind) {
    case "look":
      return 1 + sizeOf(tree.part);
    case "repeat":
      return Number.isFinite(tree.most)
        ? tree.most * (sizeOf(tree.part) + 1)
        : (tree.least + 1) * sizeOf(tree.part) + 2;
    case "sequence":
      return tree.parts.reduce((sum, part) => sum + sizeOf(part), 0) || 1;
    case "choice":
      return tree.parts.map(sizeOf).reduce((sum, size) => sum + size + 2, -2);
    default:
      return 1;
  }
}

function compile(tree: Tree, isBackward: boolean): Program {
  const points: Point[] = [];
  write(tree, points, isBackward);
  points.push({ op: "found" });
  return { points, isBackward };
}

function write(tree: Tree, points: Point[], isBackward: boolean): void {
  switch (tree.kind) {
    case "characters":
      points.push({ op: "character", has: tree.has, cost: tree.cost });
      return;
    case "place":
      points.push({ op: "place", holds: tree.holds });
      return;
    case "look":
      // A look-ahead is read backward. The place where its match begins is then the place where the backward match ends.
      points.push({ op: "look", program: compile(tree.part, tree.isAhead), isWanted: tree.isWanted });
      return;
    case "sequence":
      for (const part of isBackward ? tree.parts.toReversed() : tree.parts) write(part, points, isBackward);
      return;
    case "choice":
      writeChoice(tree.parts, points, isBackward);
      return;
    case "repeat":
      writeRepeat(tree, points, isBackward);
  }
}

function writeChoice(parts: readonly Tree[], points: Point[], isBackward: boolean): void {
  const jumps: { op: "jump"; to: number }[] = [];
  for (const [index, part] of parts.entries()) {
    const isLast = index === parts.length - 1;
    const fork = { op: "fork" as const, to: 0 };
    if (!isLast) points.push(fork);
    write(part, points, isBackward);
    if (isLast) break;
    const jump = { op: "jump" as const, to: 0 };
    points.push(jump);
    jumps.push(jump);
    fork.to = points.length;
  }
  for (const jump of jumps) jump.to = points.length;
}

function writeRepeat({ part, least, most }: Tree & { kind: "repeat" }, points: Point[], isBackward: boolean): void {
  for (let time = 0; time < least; time++) write(part, points, isBackward);
  if (!Number.isFinite(most)) {
    const fork = { op: "fork" as const, to: 0 };
    const again = points.push(fork) - 1;
    write(part, points, isBackward);
    points.push({ op: "jump", to: again });
    fork.to = points.length;
    return;
  }
  const forks: { op: "fork"; to: number }[] = [];
  for (let time = least; time < most; time++) {
    const fork = { op: "fork" as const, to: 0 };
    forks.push(fork);
    points.push(fork);
    write(part, points, isBackward);
  }
  for (const fork of forks) fork.to = points.length;
}

/** The search in one text, with the places of matches that are already known. */
class Search {
  readonly #text: Text;
  readonly #steps: Steps;
  readonly #endsOf = new Map<Program, Uint8Array>();

  constructor(text: Text, steps: Steps) {
    this.#text = text;
    this.#steps = steps;
  }

  /** Returns the places where a match ends. The match may begin at any place. */
  *ends({ points, isBackward }: Program): Generator<number> {
    const { length } = this.#text;
    this.#steps.spend(points.length + length);
    const seen = new Int32Array(points.length).fill(-1);
    let reached: number[] = [];
    for (let passed = 0; passed <= length; passed++) {
      const at = isBackward ? length - passed : passed;
      reached.push(0);
      const { waiting, isFound } = this.#follow(points, reached, at, seen);
      if (isFound) yield at;
      reached = at === (isBackward ? 0 : length) ? [] : this.#take(points, waiting, isBackward ? at - 1 : at);
    }
  }

  /** The points that read a character, among all points that are reached without reading one. `seen` has each point's last place. */
  #follow(points: readonly Point[], reached: number[], at: number, seen: Int32Array) {
    const waiting: number[] = [];
    let isFound = false;
    for (let index = reached.pop(); index !== undefined; index = reached.pop()) {
      if (seen[index] === at) continue;
      seen[index] = at;
      this.#steps.spend(1);
      const point = points[index];
      if (!point) continue;
      if (point.op === "character") waiting.push(index);
      else if (point.op === "found") isFound = true;
      else if (point.op === "jump") reached.push(point.to);
      else if (point.op === "fork") reached.push(index + 1, point.to);
      else if (point.op === "place" ? point.holds(this.#text, at) : this.#isThere(point.program, at) === point.isWanted)
        reached.push(index + 1);
    }
    return { waiting, isFound };
  }

  /** The points after the points that accept the character at a place. */
  #take(points: readonly Point[], waiting: readonly number[], at: number): number[] {
    const character = this.#text[at] ?? 0;
    const reached: number[] = [];
    for (const index of waiting) {
      const point = points[index];
      if (point?.op !== "character") continue;
      this.#steps.spend(point.cost);
      if (point.has(character)) reached.push(index + 1);
    }
    return reached;
  }

  #isThere(program: Program, at: number): boolean {
    let ends = this.#endsOf.get(program);
    if (!ends) {
      ends = new Uint8Array(this.#text.length + 1);
      for (const end of this.ends(program)) ends[end] = 1;
      this.#endsOf.set(program, ends);
    }
    return ends[at] === 1;
  }
}
