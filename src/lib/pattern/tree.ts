/** What a pattern looks for, as a tree. */
import type { Has } from "#lib/pattern/characters";

/** A text in code points. */
export type Text = Uint32Array;

/** What a pattern looks for. Only whether it is found counts, so groups, names and greed are not in the tree. */
export type Tree =
  /** One character. `cost` is how many sets are asked for it. */
  | { kind: "characters"; has: Has; cost: number }
  /** A place between characters. */
  | { kind: "place"; holds: (text: Text, at: number) => boolean }
  | { kind: "sequence"; parts: Tree[] }
  | { kind: "choice"; parts: Tree[] }
  | { kind: "repeat"; part: Tree; least: number; most: number }
  /** A place that the part begins at (`ahead`) or ends at, or where it is wanted that it does not. */
  | { kind: "look"; part: Tree; isAhead: boolean; isWanted: boolean };

export const NEWLINE = 10;

const place = (holds: (text: Text, at: number) => boolean): Tree => ({ kind: "place", holds });
/** What is always found. */
export const NOTHING: Tree = { kind: "sequence", parts: [] };
export const START = place((_text, at) => at === 0);
export const END = place((text, at) => at === text.length);
export const LINE_START = place((text, at) => at === 0 || text[at - 1] === NEWLINE);
export const LINE_END = place((text, at) => at === text.length || text[at] === NEWLINE);
export const LAST_LINE_END = place(
  (text, at) => at === text.length || (at === text.length - 1 && text[at] === NEWLINE),
);

/** A boundary of words, or where none is. */
export function boundary(isWord: Has, isWanted: boolean): Tree {
  return place((text, at) => {
    // Prefect: Python finds neither a boundary nor none in an empty text.
    if (text.length === 0) return false;
    const before = at > 0 && isWord(text[at - 1] ?? 0);
    const after = at < text.length && isWord(text[at] ?? 0);
    return (before !== after) === isWanted;
  });
}

/** How many characters a tree takes, at least and at most. */
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
