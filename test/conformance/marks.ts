/** The marks around the part of docs/compatibility.md that `npm run compatibility` writes. */
export const BEGIN = "<!-- Written by `npm run compatibility`: begin -->";
export const END = "<!-- Written by `npm run compatibility`: end -->";
