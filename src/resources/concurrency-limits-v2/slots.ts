/** Takes slots; a refusal says why, and when to try again. */
import { refused, unprocessable } from "#lib/api-error";
import { concurrencyLimits } from "#objects/concurrency-limits/client";
import type { AcquireAnswer, AcquireAsk } from "#objects/concurrency-limits/messages";
import type { Tools } from "#tools";

type Acquired = Extract<AcquireAnswer, { kind: "acquired" }>;

/** Takes slots of all limits that exist among these names, or throws: 423 if they are full, 422 if they never can. */
export async function takeSlots(
  tools: Tools,
  body: Pick<AcquireAsk, "names" | "slots" | "mode">,
  lease: AcquireAsk["lease"],
): Promise<Acquired> {
  const names = [...new Set(body.names)];
  const answer = await concurrencyLimits(tools).acquire({ names, ids: [], slots: body.slots, mode: body.mode, lease });
  switch (answer.kind) {
    case "acquired":
      return answer;
    case "full":
      throw refused(423, "Locked", { "Retry-After": String(answer.retry_after_seconds) });
    case "too many":
      throw unprocessable("Slots requested is greater than the limit");
    case "no decay":
      throw unprocessable(
        `Only concurrency limits with slot decay can be used for rate limiting. The following limits do not have a decay configured: '${answer.limits.map(({ name }) => name).join(",")}'`,
      );
    default: {
      const unknown: never = answer;
      throw new Error(`unknown answer ${JSON.stringify(unknown)}`);
    }
  }
}
