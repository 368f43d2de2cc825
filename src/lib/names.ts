/** Names for runs without a name: an adjective and an animal, as in the original. */
import { adjectives, animals, uniqueNamesGenerator } from "unique-names-generator";

/** A name like `rigorous-kangaroo`. */
export function randomName(random: () => number): string {
  return uniqueNamesGenerator({
    dictionaries: [adjectives, animals],
    separator: "-",
    seed: Math.floor(random() * 2 ** 31),
  });
}
