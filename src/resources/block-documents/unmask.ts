/**
 * What the masks in an update of a document mean: a client sends masks if it has read the document without its secrets.
 * Pure.
 */
import { isObject } from "#lib/json-value";
import { type Data, hideSecrets, mapObject, MASK, secretPaths } from "#resources/block-documents/secrets";

/** The data of an update, in which a mask stands for the present value. */
export function unmask(update: Data, present: Data, fields: unknown): Data {
  const { shown } = hideSecrets(present, fields);
  const known = { given: update, present, shown };
  return secretPaths(fields).reduce<unknown>((data, { path }) => unmaskField(data, known, path, true), update) as Data;
}

/** A value of the update as it was sent, the present value at its place, and how answers show the present value. */
interface Known {
  given: unknown;
  present: unknown;
  shown: unknown;
}

/** Replaces the masks of a field, as `hideSecrets` finds its values. */
function unmaskField(data: unknown, known: Known, names: readonly string[], isRoot = false): unknown {
  const [name, ...rest] = names;
  if (name === undefined) return unmasked(data, known.present);
  if (Array.isArray(data)) {
    const at = presentPlaces(known);
    return data.map((item, index) => {
      const inside = at(index);
      return inside ? unmaskField(item, inside, names) : item;
    });
  }
  if (!isObject(data)) return data;
  const isField = Object.hasOwn(data, name);
  if (!isField && isRoot) return data;
  return mapObject(data, (inner, key) => {
    if (isField && key !== name) return inner;
    const inside = inKey(known, key);
    return inside ? unmaskField(inner, inside, isField ? rest : names) : inner;
  });
}

/** What is known of the value of a key; null if the key is new. */
function inKey({ given, present, shown }: Known, key: string): Known | null {
  if (!isObject(given) || !isObject(present) || !isObject(shown) || !Object.hasOwn(present, key)) return null;
  return { given: given[key], present: present[key], shown: shown[key] };
}

/**
 * Gives a function that finds what is known of an item of a list; null if the item is new. An item may have moved: it is
 * the one that looked the same. If none did, and the list is as long as before, it is the one at the same place.
 */
function presentPlaces({ given, present, shown }: Known): (index: number) => Known | null {
  if (!Array.isArray(given) || !Array.isArray(present) || !Array.isArray(shown)) return () => null;
  const looks = shown.map((item) => JSON.stringify(item));
  const firstWith = new Map(looks.map((look, index) => [look, index] as const).toReversed());
  return (index) => {
    const look = JSON.stringify(given[index]);
    const same = look === looks[index] ? index : firstWith.get(look);
    const at = same ?? (given.length === present.length ? index : null);
    return at === null ? null : { given: given[index], present: present[at], shown: shown[at] };
  };
}

function unmasked(given: unknown, kept: unknown): unknown {
  if (given === MASK) return kept;
  if (!isObject(given) || !isObject(kept)) return given;
  return mapObject(given, (inner, key) => (Object.hasOwn(kept, key) ? unmasked(inner, kept[key]) : inner));
}
