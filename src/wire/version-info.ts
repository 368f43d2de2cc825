/** The version of the code that a client deploys: a commit, an image or a name. */
import * as z from "zod";
import { isSized, ShortText } from "#wire/sizes";

/** Other fields are kept as they are sent: `branch`, `commit_sha`, `url` … */
export const VersionInfo = z
  .looseObject({ type: ShortText, version: ShortText })
  .refine(isSized, "version_info is too large")
  .meta({ id: "VersionInfo" });
export type VersionInfo = z.output<typeof VersionInfo>;
