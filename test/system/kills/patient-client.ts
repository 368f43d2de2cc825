/** A client that repeats each request until the server has answered, as the stock client does. */
import { setTimeout as sleep } from "node:timers/promises";
import type { Api } from "../support/api.ts";
import type { Ledger } from "./ledger.ts";

const WAIT_MS = 250;
/** The server is down for some seconds, so no request is repeated for so long. */
const LONGEST_MS = 180_000;

/** An answer of 4xx: the request is wrong. */
class Refused extends Error {}

export class PatientClient {
  private readonly api: Api;
  private readonly ledger: Ledger;

  constructor(api: Api, ledger: Ledger) {
    this.api = api;
    this.ledger = ledger;
  }

  /** Sends a request until it is accepted. */
  async ask(path: string, body?: unknown): Promise<unknown> {
    for (const end = Date.now() + LONGEST_MS; Date.now() < end; await sleep(WAIT_MS)) {
      const answer = await this.once(path, body);
      if (answer !== undefined) return answer;
      this.ledger.counts.repeats++;
    }
    throw new Error(`${path}: not accepted within ${LONGEST_MS / 1000} s`);
  }

  /** Sends a request once. Returns undefined if there was no answer, or an answer that asks to send it again. */
  async once(path: string, body?: unknown): Promise<unknown> {
    this.ledger.counts.requests++;
    try {
      const response = await this.api.send(path, body);
      const text = await response.text();
      if (response.ok) return text === "" ? null : JSON.parse(text);
      if (response.status < 500) throw new Refused(`${path}: ${response.status} ${text.slice(0, 300)}`);
      if (response.status !== 503) this.ledger.fault(`${path}: ${response.status} ${text.slice(0, 300)}`);
      return undefined;
    } catch (error) {
      if (error instanceof Refused) throw error;
      // The server was killed: no connection, or half an answer.
      return undefined;
    }
  }
}
