/** The stock client's WebSockets: the `prefect` subprotocol, its authentication, then frames of JSON. */
import { RequestFailure } from "./http-client.ts";
import type { Target } from "./target.ts";

export interface EventSocket {
  send(message: unknown): void;
  /** Closes the socket and waits for the server's close. At the close, the server has read all messages. */
  close(): Promise<void>;
}

export interface SocketCounts {
  socketOpens: number;
  socketMessages: number;
}

const ANSWER_TIMEOUT_MS = 30_000;

export async function openEventSocket(target: Target, path: string, counts: SocketCounts): Promise<EventSocket> {
  counts.socketOpens += 1;
  const socket = new WebSocket(target.apiUrl.replace(/^http/, "ws") + path, "prefect");
  const closed = new Promise<void>((resolve) => socket.addEventListener("close", () => resolve()));
  const send = (message: unknown): void => {
    if (socket.readyState !== OPEN) throw new RequestFailure(`${path}: closed by the server`);
    counts.socketMessages += 1;
    socket.send(JSON.stringify(message));
  };

  await answered(path, (resolve, reject) => {
    socket.addEventListener("error", () => reject("the socket did not open"));
    socket.addEventListener("close", (event) => reject(`closed: ${event.code} ${event.reason}`));
    socket.addEventListener("open", () => send({ type: "auth", token: target.key ?? null }));
    socket.addEventListener("message", (event) => {
      if (String(event.data).includes("auth_success")) resolve();
    });
  });

  return {
    send,
    close: async () => {
      const wasOpen = socket.readyState === OPEN;
      socket.close();
      await answered(path, (resolve) => void closed.then(resolve));
      if (!wasOpen) throw new RequestFailure(`${path}: closed by the server`);
    },
  };
}

/** `WebSocket.OPEN`, which has another name in some of the type libraries. */
const OPEN = 1;

function answered(path: string, wait: (resolve: () => void, reject: (reason: string) => void) => void): Promise<void> {
  return new Promise((resolve, reject) => {
    const fail = (reason: string): void => {
      clearTimeout(timer);
      reject(new RequestFailure(`${path}: ${reason}`));
    };
    const timer = setTimeout(() => fail(`no answer within ${ANSWER_TIMEOUT_MS / 1000} s`), ANSWER_TIMEOUT_MS);
    wait(() => {
      clearTimeout(timer);
      resolve();
    }, fail);
  });
}
