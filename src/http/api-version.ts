/** Reads the client's API version, program and automation from the headers of a request. */
import { refused } from "#lib/api-error";
import { decodeBase64 } from "#lib/bytes";
import { compareVersions } from "#lib/versions";
import type { Client } from "#tools";

/** The API version of this server; `OLDEST` is the oldest that a client may have. Prefect 3.8.8: SERVER_API_VERSION. */
export const API_VERSION = "0.8.4";
/** The version of Prefect that has this API. */
export const PREFECT_VERSION = "3.8.8";
const OLDEST = [0, 8, 0] as const;
// Neighbouring parts match different characters. Otherwise a long header would cause backtracking.
const USER_AGENT = /^prefect\/(\d+\.\d+\.\d[a-z.+0-9]*) \(API \S+\)$/;

/** Reads the client. Throws 400 for an API version that is malformed or too old. A client may send no version. */
export function readClient(headers: Headers): Client {
  return {
    apiVersion: readApiVersion(headers.get("x-prefect-api-version")),
    version: USER_AGENT.exec(headers.get("user-agent") ?? "")?.[1] ?? null,
    createdBy: readCreatedBy(headers),
  };
}

function readApiVersion(text: string | null): Client["apiVersion"] {
  if (!text) return null;
  const numbers = text.split(".").map((part) => (/^\s*[+-]?\d+\s*$/.test(part) ? Number(part) : Number.NaN));
  const [major = Number.NaN, minor = Number.NaN, patch = Number.NaN] = numbers;
  if (numbers.length !== 3 || Number.isNaN(major + minor + patch)) {
    throw refused(
      400,
      `Invalid X-PREFECT-API-VERSION header format.Expected header in format 'x.y.z' but received ${text}`,
    );
  }
  if (compareVersions([major, minor, patch], OLDEST) < 0) {
    throw refused(
      400,
      `The request specified API version ${text} but this server requires version ${OLDEST.join(".")} or higher.`,
    );
  }
  return [major, minor, patch];
}

function readCreatedBy(headers: Headers): Client["createdBy"] {
  const id = headers.get("prefect-automation-id");
  const name = headers.get("prefect-automation-name");
  if (!id || !name) return null;
  try {
    return { id, type: "AUTOMATION", display_value: decodeBase64(name) };
  } catch {
    // The name is not base64. Prefect, too, continues without an author.
    return null;
  }
}
