/** Parameters of runs in requests, which the original bounds in size. */
import { JsonObject } from "#wire/scalars";

/** Prefect: `server.api.max_parameter_size`, of parameters as compact JSON. */
const MAX_PARAMETER_BYTES = 524_288;

/** Parameters of bounded size. */
export const SizedParameters = JsonObject.superRefine((parameters, context) => {
  const bytes = new TextEncoder().encode(JSON.stringify(parameters)).length;
  if (bytes <= MAX_PARAMETER_BYTES) return;
  const [most, size] = [MAX_PARAMETER_BYTES, bytes].map((number) => number.toLocaleString("en-US"));
  context.addIssue({
    code: "custom",
    message: `Flow run parameters must be less than ${most} bytes when serialized (got ${size} bytes).`,
  });
});
