/** The sockets that a page may open: the live events and logs. */
import type { WatchedPage } from "./browser.ts";

const PATHS = ["/api/events/out", "/api/logs/out"];

/** Opens each socket from the page as a client does, and waits until the server has let it in. */
export async function checkSockets({ page }: WatchedPage): Promise<void> {
  for (const path of PATHS) {
    const answer = await page.evaluate(async (address) => {
      const socket = new WebSocket(address, ["prefect"]);
      const next = (event: "open" | "message") =>
        new Promise<string>((resolve, reject) => {
          socket.addEventListener(event, (it) => resolve(it instanceof MessageEvent ? String(it.data) : "open"));
          socket.addEventListener("close", ({ code }) => reject(new Error(`${address} was closed: ${code}`)));
          setTimeout(() => reject(new Error(`${address} is silent`)), 10_000);
        });
      await next("open");
      socket.send(JSON.stringify({ type: "auth", token: null }));
      const answer = await next("message");
      socket.close();
      return answer;
    }, path);
    if (!answer.includes("auth_success")) throw new Error(`${path} answers ${answer}`);
  }
}
