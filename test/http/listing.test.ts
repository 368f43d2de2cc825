/** Lists that are sent in portions. */
import { expect, test } from "vitest";
import { Listing, toListingResponse } from "#http/listing";

test("between the megabytes of a list in portions the process handles other requests", async () => {
  const text = "x".repeat(1_000_000);
  let others = 0;
  const timer = setInterval(() => {
    others += 1;
  }, 1);
  const response = await toListingResponse(new Listing(Array.from({ length: 20 }, () => async () => [text])), 200);
  const list: string[] = await response.json();
  expect(list.every((one) => one === text)).toBe(true);
  clearInterval(timer);
  expect(others).toBeGreaterThanOrEqual(19);
});
