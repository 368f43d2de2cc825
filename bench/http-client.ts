/** The bench's HTTP client: node:http with kept-alive connections, because it uses little time in the client. */
import * as http from "node:http";
import * as https from "node:https";

import type { Target } from "./target.ts";

export interface Reply {
  status: number;
  headers: http.IncomingHttpHeaders;
  text: string;
}

export interface HttpClient {
  /** Sends one request. `path` is relative to the API URL. Rejects if no complete answer came. */
  send(method: string, path: string, body?: unknown): Promise<Reply>;
  /** How many requests have begun since the client was opened. */
  requestCount(): number;
  close(): void;
}

export interface HttpClientOptions {
  /** The most connections at once. Further requests wait for a connection. */
  connections: number;
  headers?: Record<string, string>;
}

/** A refused request, or a connection without an answer. */
export class RequestFailure extends Error {}

const ANSWER_TIMEOUT_MS = 30_000;
/**
 * Shorter than the five seconds after which uvicorn closes an idle connection, so that no request uses a connection
 * that is being closed.
 */
const IDLE_CONNECTION_MS = 3_000;

export function openHttpClient(target: Target, options: HttpClientOptions): HttpClient {
  const base = new URL(target.apiUrl);
  const transport = base.protocol === "https:" ? https : http;
  const agent = new transport.Agent({
    keepAlive: true,
    maxSockets: options.connections,
    maxFreeSockets: options.connections,
    timeout: IDLE_CONNECTION_MS,
  });
  const commonHeaders: Record<string, string> = {
    accept: "*/*",
    "user-agent": "prefect/3.8.8 (API 0.8.4)",
    "x-prefect-api-version": "0.8.4",
    ...(target.key === undefined ? {} : { authorization: `Bearer ${target.key}` }),
    ...options.headers,
  };
  let requests = 0;

  function send(method: string, path: string, body?: unknown): Promise<Reply> {
    requests += 1;
    return new Promise((resolve, reject) => {
      const payload = body === undefined ? undefined : Buffer.from(JSON.stringify(body));
      const fail = (error: Error) => reject(new RequestFailure(`${method} ${path}: ${describe(error)}`));
      const request = transport.request(
        {
          agent,
          host: base.hostname,
          port: base.port,
          path: base.pathname.replace(/\/$/, "") + path,
          method,
          timeout: ANSWER_TIMEOUT_MS,
          headers: {
            ...commonHeaders,
            ...(payload === undefined ? {} : { "content-type": "application/json", "content-length": payload.length }),
          },
        },
        (response) => {
          const chunks: Buffer[] = [];
          response.on("data", (chunk: Buffer) => chunks.push(chunk));
          response.on("error", fail);
          response.on("end", () => {
            const text = Buffer.concat(chunks).toString();
            resolve({ status: response.statusCode ?? 0, headers: response.headers, text });
          });
        },
      );
      request.on("timeout", () => request.destroy(new Error(`no answer within ${ANSWER_TIMEOUT_MS / 1000} s`)));
      request.on("error", fail);
      request.end(payload);
    });
  }

  return { send, requestCount: () => requests, close: () => agent.destroy() };
}

/** Sends a request. Rejects unless the answer is 2xx, or has one of the statuses in `also`. */
export async function call(
  client: HttpClient,
  method: string,
  path: string,
  body?: unknown,
  also: number[] = [],
): Promise<Reply> {
  const reply = await client.send(method, path, body);
  if ((reply.status >= 200 && reply.status < 300) || also.includes(reply.status)) return reply;
  throw new RequestFailure(`${method} ${path}: ${reply.status} ${reply.text.slice(0, 200)}`);
}

function describe(error: Error): string {
  const code = "code" in error ? String(error.code) : "";
  return [code, error.message].filter((part) => part !== "").join(" ");
}
