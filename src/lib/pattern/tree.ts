/** A pattern as a tree. */
import type { Has } from "#lib/pattern/characters";

/** A text in code points. */
export type Text = Uint32Array;

/** A part of a pattern. A search only finds out whether there is a match, so the tree has no groups, no names and no lazy repetitions. */
export type Tree =
  /** One character. `cost` is the number of sets that are checked for it. */
  | { kind: "characters"; has: Has; cost: number }
  /** A place between characters. */
  | { kind: "place"; holds: (text: Text, at: number) => boolean }
  | { kind: "sequence"; parts: Tree[] }
  | { kind: "choice"; parts: Tree[] }
  | { kind: "repeat"; part: Tree; least: number; most: number }
  /** A place where the part begins (`isAhead`) or ends. If the part is not wanted (`isWanted` is false), a place where it does not. */
  | { kind: "look"; part: Tree; isAhead: boolean; isWanted: boolean };

export const NEWLINE = 10;

/** A part that matches at each place. */
export const NOTHING: Tree = { kind: "sequence", parts: [] };

const place = (holds: (text: Text, at: number) => boolean): Tree => ({ kind: "place", holds });

/** The places of a text and of its lines. */
export const PLACES = {
  start: place((_text, at) => at === 0),
  end: place((text, at) => at === text.length),
  lineStart: place((text, at) => at === 0 || text[at - 1] === NEWLINE),
  lineEnd: place((text, at) => at === text.length || text[at] === NEWLINE),
  lastLineEnd: place((text, at) => at === text.length || (at === text.length - 1 && text[at] === NEWLINE)),
};

/** A place that is a boundary of a word. If `isWanted` is false, a place that is not. */
export function boundary(isWord: Has, isWanted: boolean): Tree {
  return place((text, at) => {
    // Prefect: in an empty text Python matches neither `\b` nor `\B`.
    if (text.length === 0) return false;
    const before = at > 0 && isWord(text[at - 1] ?? 0);
    const after = at < text.length && isWord(text[at] ?? 0);
    return (before !== after) === isWanted;
  });
}

/** Returns the smallest and the largest number of characters that a match may have. */
export function widthOf(tree: Tree): [least: number, most: number] {
  switch (tree.kind) {
    case "characters":
      return [1, 1];
    case "repeat": {
      const [least, most] = widthOf(tree.part);
      return [least * tree.least, most === 0 ? 0 : most * tree.most];
    }
    case "sequence":
      return tree.parts.map(widthOf).reduce(([a, b], [c, d]) => [a + c, b + d], [0, 0]);
    case "choice": {
      const widths = tree.parts.map(widthOf);
      return [Math.min(...widths.map(([least]) => least)), Math.max(...widths.map(([, most]) => most))];
    }
    default:
      return [0, 0];
  }
}
