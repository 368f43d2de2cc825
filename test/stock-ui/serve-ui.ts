/** Serves the web UI of the installed `prefect` package in front of a server: its files, and the server's API below them. */
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { createServer, type IncomingMessage, request, type Server, type ServerResponse } from "node:http";
import { connect } from "node:net";
import { extname, join, normalize } from "node:path";
import type { Duplex } from "node:stream";

/** The name of the path under which the UI is served. The original server replaces it, too. */
const BASE_PATH = "/PREFECT_UI_SERVE_BASE_REPLACE_PLACEHOLDER";
/** A path of these goes to the server. */
const OF_SERVER = /^\/(api|ui-settings)(?=[/?]|$)/;

const TYPES: Record<string, string> = {
  ".css": "text/css",
  ".html": "text/html",
  ".ico": "image/x-icon",
  ".js": "text/javascript",
  ".json": "application/json",
  ".png": "image/png",
  ".svg": "image/svg+xml",
  ".webmanifest": "application/manifest+json",
  ".woff2": "font/woff2",
};
const TEXTS = new Set([".css", ".html", ".js"]);

/** The folder of the UI's files in the package that a Python has. */
export function folderOfUi(python: string): string {
  const code = "import prefect; print(prefect.__ui_v2_static_path__)";
  return execFileSync(python, ["-c", code], { encoding: "utf8" }).trim();
}

/** A UI that is served. */
export interface ServedUi {
  /** Where its pages are: `http://127.0.0.1:PORT`. */
  origin: string;
  /** The requests for which the server gave no answer, or only a part of one. */
  broken: string[];
  end: () => void;
}

/** Serves the UI's files of a folder. Requests and sockets of `/api`, and `/ui-settings`, go to the server. */
export async function serveUi(folder: string, apiUrl: string): Promise<ServedUi> {
  const broken: string[] = [];
  const { hostname, port } = new URL(apiUrl);
  const upstream = { hostname, port: Number(port) };
  const server = createServer((incoming, response) => {
    if (OF_SERVER.test(incoming.url ?? "")) return forward(incoming, response, upstream, broken);
    return sendFile(folder, incoming, response);
  });
  server.on("upgrade", (incoming, socket: Duplex, head: Buffer) => forwardSocket(incoming, socket, head, upstream));
  await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening));
  return { origin: `http://127.0.0.1:${portOf(server)}`, broken, end: () => close(server) };
}

interface Upstream {
  hostname: string;
  port: number;
}

function portOf(server: Server): number {
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("the UI's server has no port");
  return address.port;
}

function close(server: Server): void {
  server.closeAllConnections();
  server.close();
}

/** The browser's `Host` is kept: the server makes the address of its API from it, and checks pages' origins by it. */
function forward(incoming: IncomingMessage, response: ServerResponse, { hostname, port }: Upstream, broken: string[]) {
  const { method, url: path, headers } = incoming;
  // A new connection for each request: a kept one may be closed by the server at the moment in which it is used again.
  // Browsers then send the request again, and Node does not.
  const outgoing = request({ agent: false, hostname, port, method, path, headers }, (answer) => {
    response.writeHead(answer.statusCode ?? 502, answer.headers);
    answer.pipe(response);
    answer.on("error", fail);
  });
  const fail = (error: Error) => {
    if (response.destroyed) return;
    broken.push(`${method} ${path}: ${error.message}`);
    if (response.headersSent) response.destroy();
    else response.writeHead(502).end();
  };
  outgoing.on("error", fail);
  // A page that is left gives up its requests.
  response.on("close", () => outgoing.destroy());
  incoming.pipe(outgoing);
}

function forwardSocket(incoming: IncomingMessage, socket: Duplex, head: Buffer, { hostname, port }: Upstream): void {
  const outgoing = connect(port, hostname, () => {
    const headers = incoming.rawHeaders.map((text, at) => (at % 2 === 0 ? `${text}: ` : `${text}\r\n`)).join("");
    outgoing.write(`${incoming.method} ${incoming.url} HTTP/1.1\r\n${headers}\r\n`);
    outgoing.write(head);
    outgoing.pipe(socket).pipe(outgoing);
  });
  outgoing.on("error", () => socket.destroy());
  socket.on("error", () => outgoing.destroy());
}

/** A path that is no file is a page of the UI: all pages are one file. */
function sendFile(folder: string, incoming: IncomingMessage, response: ServerResponse): void {
  const { pathname } = new URL(incoming.url ?? "/", "http://ui");
  const [path, content] = readIf(folder, pathname) ?? ["/index.html", readFileSync(join(folder, "index.html"))];
  const ending = extname(path);
  response.setHeader("content-type", TYPES[ending] ?? "application/octet-stream");
  // Names of assets have a digest of their content.
  if (path.startsWith("/assets/")) response.setHeader("cache-control", "max-age=3600, immutable");
  response.end(TEXTS.has(ending) ? content.toString().replaceAll(BASE_PATH, "") : content);
}

function readIf(folder: string, pathname: string): [string, Buffer] | undefined {
  const path = normalize(decodeURIComponent(pathname));
  try {
    return [path, readFileSync(join(folder, path))];
  } catch {
    // The UI has no such file.
    return undefined;
  }
}
