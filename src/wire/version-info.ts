/** What a client says of the code that it deploys: a commit, an image, or just a name. */
import { z } from "zod";

/** Its own fields are kept as they come: `branch`, `commit_sha`, `url` … */
export const VersionInfo = z.looseObject({ type: z.string(), version: z.string() }).meta({ id: "VersionInfo" });
export type VersionInfo = z.output<typeof VersionInfo>;
