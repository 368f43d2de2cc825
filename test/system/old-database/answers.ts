/** Asks the recorded requests. */
import { readFileSync } from "node:fs";
import { brotliDecompressSync } from "node:zlib";
import type { Api } from "../support/api.ts";
import { explained, masked } from "./differences.ts";
import { parseExactly } from "./exact-json.ts";
import { filesOf } from "./server.ts";

/** With a body, the method is POST. */
export interface Request {
  path: string;
  body?: unknown;
  /** How many pages are read, by the `next_page` of the page before. */
  pages?: number;
}

/** An answer without its masked fields. */
export interface Answer {
  /** A text, because the numbers of recorded answers are read by their texts. */
  status: string;
  body: unknown;
}

export function readRequests(commit: string): Request[] {
  const lines = readFileSync(filesOf(commit).requests, "utf8").trim().split("\n");
  return lines.map((line) => JSON.parse(line) as Request);
}

/** The recorded answers, with the intended differences. */
export function readAnswers(commit: string): Answer[] {
  const text = brotliDecompressSync(readFileSync(filesOf(commit).answers)).toString();
  return explained(commit, parseExactly(text)) as Answer[];
}

/** The answers of all requests, in order. */
export async function askAll(api: Api, requests: readonly Request[]): Promise<Answer[]> {
  const answers: Answer[] = [];
  for (const request of requests) answers.push(await ask(api, request));
  return answers;
}

async function ask(api: Api, { path, body, pages }: Request): Promise<Answer> {
  const first = await answerOf(await api.send(path, body));
  const bodies = [first.body];
  while (bodies.length < (pages ?? 1)) {
    const { next_page: next } = bodies.at(-1) as { next_page: string | null };
    if (next === null) break;
    bodies.push((await answerOf(await api.send(next))).body);
  }
  return { status: first.status, body: masked(pages === undefined ? first.body : bodies) };
}

async function answerOf(response: Response): Promise<Answer> {
  const text = await response.text();
  const isJson = response.headers.get("content-type")?.includes("json");
  return { status: String(response.status), body: isJson ? parseExactly(text) : text };
}
