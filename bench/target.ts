/** A server under measurement: its name in the tables, the URL of its API and its key. */
export interface Target {
  name: string;
  /** The URL without a trailing slash, e.g. `http://127.0.0.1:4200/api`. */
  apiUrl: string;
  key: string | undefined;
}

/** Reads `NAME=URL`. */
export function parseTarget(text: string, key: string | undefined): Target {
  const equals = text.indexOf("=");
  if (equals < 1) throw new Error(`--target wants NAME=URL, not "${text}"`);
  const apiUrl = text.slice(equals + 1).replace(/\/+$/, "");
  if (!URL.canParse(apiUrl)) throw new Error(`--target ${text}: not a URL`);
  return { name: text.slice(0, equals), apiUrl, key };
}
