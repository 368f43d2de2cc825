/** Parameters of runs in requests, whose size Prefect bounds. */
import { JsonObject } from "#wire/scalars";
import { byteLength } from "#lib/bytes";
import { MAX_OBJECT_BYTES } from "#wire/sizes";

/** Parameters of bounded size. */
export const SizedParameters = JsonObject.superRefine((parameters, context) => {
  const bytes = byteLength(JSON.stringify(parameters));
  if (bytes <= MAX_OBJECT_BYTES) return;
  const [most, size] = [MAX_OBJECT_BYTES, bytes].map((number) => number.toLocaleString("en-US"));
  context.addIssue({
    code: "custom",
    message: `Flow run parameters must be less than ${most} bytes when serialized (got ${size} bytes).`,
  });
});
