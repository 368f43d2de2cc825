/**
 * What the masks in an update of a document mean: a client sends masks if it has read the document without its secrets.
 * Pure.
 */
import { isObject } from "#lib/json-value";
import { type Data, mapObject } from "#resources/block-documents/secret-places";
import { fieldsInside, hideSecrets, MASK, type SecretFields, secretFields } from "#resources/block-documents/secrets";

/** In how many lists inside one another an item is looked for that has moved. Each takes the time to print the list. */
const MAX_LISTS = 3;

/** A value of the update as it was sent, the present value at its place, and how answers show the present value. */
interface Known {
  given: unknown;
  present: unknown;
  shown: unknown;
}

/** The data of an update, in which a mask stands for the present value. */
export function unmask(update: Data, present: Data, fields: unknown): Data {
  const { shown } = hideSecrets(present, fields);
  return unmaskFields({ given: update, present, shown }, secretFields(fields), 0, true) as Data;
}

/** Replaces the masks of secret fields, which `hideSecrets` finds in the same way. `lists`: in how many lists the value is. */
function unmaskFields(known: Known, fields: SecretFields, lists: number, isRoot = false): unknown {
  const { given } = known;
  if (fields.end) return unmasked(given, known.present);
  if (fields.inner.size === 0) return given;
  if (Array.isArray(given)) {
    const find = presentItems(known, given, lists < MAX_LISTS);
    return given.map((item: unknown, index) => {
      const inside = find(index);
      return inside ? unmaskFields(inside, fields, lists + 1) : item;
    });
  }
  if (!isObject(given)) return given;
  const inside = fieldsInside(given, fields, isRoot);
  return mapObject(given, (value, key) => {
    const [one, below] = [inKey(known, key, value), inside(key)];
    return one && below ? unmaskFields(one, below, lists) : value;
  });
}

/** What is known of the value of a key; null if the key is new. */
function inKey({ present, shown }: Known, key: string, given: unknown): Known | null {
  if (!isObject(present) || !isObject(shown) || !Object.hasOwn(present, key)) return null;
  return { given, present: present[key], shown: shown[key] };
}

/**
 * Gives a function that finds what is known of an item of a list; null if the item is new. An item may have moved: it is
 * the one that looked the same. If none did, and the list is as long as before, it is the one at the same place.
 */
function presentItems({ present, shown }: Known, given: readonly unknown[], canMove: boolean) {
  if (!Array.isArray(present) || !Array.isArray(shown)) return () => null;
  const looks = canMove ? shown.map((item) => JSON.stringify(item)) : [];
  const firstWith = new Map(looks.map((look, index) => [look, index] as const).toReversed());
  const placeOf = (index: number): number | undefined => {
    const look = canMove ? JSON.stringify(given[index]) : "";
    return canMove && look === looks[index] ? index : firstWith.get(look);
  };
  return (index: number): Known | null => {
    const at = placeOf(index) ?? (given.length === present.length ? index : null);
    return at === null ? null : { given: given[index], present: present[at], shown: shown[at] };
  };
}

function unmasked(given: unknown, kept: unknown): unknown {
  if (given === MASK) return kept;
  if (!isObject(given) || !isObject(kept)) return given;
  return mapObject(given, (inner, key) => (Object.hasOwn(kept, key) ? unmasked(inner, kept[key]) : inner));
}
