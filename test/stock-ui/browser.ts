/** A page of Chromium that notes all that goes wrong on it. */
import { existsSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { type Browser, chromium, type Page, type Request } from "playwright-core";

/** Where Debian, and most other systems, have Chromium. */
const CHROMIUM = process.env["SLUICE_CHROMIUM"] ?? "/usr/bin/chromium";

/** The time after which a page with nothing to load counts as loaded. */
const QUIET_MS = 300;
/** The maximum wait for a page or for a part of it. */
const WAIT_MS = 30_000;
/** The maximum wait for a text on a page whose requests are answered. */
const TEXT_MS = 10_000;

/** What the UI shows instead of a page, for an address that it does not know and for an error that it did not expect. */
const BAD_VIEWS = /^(Not Found|Something went wrong!?)$/m;

/** The UI asks for a configuration of its telemetry somewhere else, even if telemetry is off. */
const ONLY_LOOPBACK = "MAP * ~NOTFOUND, EXCLUDE 127.0.0.1";

/** Why a walk cannot begin. */
export class NoBrowser extends Error {}

/** Starts Chromium. Throws `NoBrowser` if it is not there. */
export async function startChromium(): Promise<Browser> {
  if (!existsSync(CHROMIUM)) {
    throw new NoBrowser(
      `${CHROMIUM} is not there: install Chromium (apt-get install chromium), or set SLUICE_CHROMIUM to its path.`,
    );
  }
  return chromium.launch({
    executablePath: CHROMIUM,
    args: ["--no-sandbox", `--host-resolver-rules=${ONLY_LOOPBACK}`],
  });
}

/** A page, with the faults since it was last asked for them. */
export class WatchedPage {
  readonly page: Page;
  private readonly origin: string;
  private readonly loading = new Set<Request>();
  private quietSince = Date.now();
  private readonly faults = new Set<string>();

  static async open(browser: Browser, origin: string): Promise<WatchedPage> {
    const context = await browser.newContext({ viewport: { width: 1400, height: 1000 }, timezoneId: "Europe/Paris" });
    return new WatchedPage(await context.newPage(), origin);
  }

  private constructor(page: Page, origin: string) {
    this.page = page;
    this.origin = origin;
    page.setDefaultTimeout(WAIT_MS);
    page.on("request", (request) => {
      if (this.isOwn(request)) this.loading.add(request);
    });
    page.on("requestfinished", (request) => this.end(request));
    page.on("requestfailed", (request) => {
      this.end(request);
      const reason = request.failure()?.errorText ?? "failed";
      // Only the page itself aborts requests: it is left, or it no longer needs an answer.
      if (reason !== "net::ERR_ABORTED" && this.isOwn(request)) this.faults.add(`${this.nameOf(request)}: ${reason}`);
    });
    page.on("response", (response) => {
      if (response.status() >= 400) this.faults.add(`${this.nameOf(response.request())}: ${response.status()}`);
    });
    page.on("pageerror", (error) => this.faults.add(`error: ${error.message}`));
    page.on("console", (message) => {
      if (message.type() !== "error") return;
      // A refused request has its own fault.
      if (message.text().startsWith("Failed to load resource")) return;
      this.faults.add(`console: ${message.text().split("\n")[0]}`);
    });
  }

  /** Opens an address of the UI, and waits until it is loaded. */
  async visit(path: string): Promise<void> {
    // What the page before has asked for may stay without an end.
    this.page.once("framenavigated", () => this.loading.clear());
    await this.page.goto(`${this.origin}${path}`, { waitUntil: "domcontentloaded" });
    await this.settle();
  }

  /** Goes to another address of the UI without loading the UI again, as a click on a tab does. */
  async turnTo(path: string): Promise<void> {
    await this.page.evaluate(`history.pushState({}, "", ${JSON.stringify(path)})`);
    await this.settle();
  }

  /** Waits until all requests of the page are answered, and the page has used their answers. */
  async settle(): Promise<void> {
    for (const until = Date.now() + WAIT_MS; ;) {
      // In a busy browser the answer comes before the page has handled it.
      await this.page.evaluate(() => new Promise((done) => setTimeout(done)));
      if (this.loading.size === 0 && Date.now() - this.quietSince > QUIET_MS) return;
      if (Date.now() > until) throw new Error(`not answered: ${[...this.loading].map((it) => this.nameOf(it)).join()}`);
      await sleep(50);
    }
  }

  /** Waits for a text that can be seen. */
  async sees(text: string | RegExp): Promise<void> {
    const shown = this.page.getByText(text).filter({ visible: true }).first();
    await shown.waitFor({ timeout: TEXT_MS }).catch(() => {
      throw new Error(`does not show ${text}`);
    });
  }

  /** The faults since the last call. */
  async takeFaults(): Promise<string[]> {
    const text = await this.page.locator("body").innerText().catch(String);
    const badView = BAD_VIEWS.exec(text)?.[0];
    if (badView !== undefined) this.faults.add(`view: ${badView}`);
    const taken = [...this.faults];
    this.faults.clear();
    return taken;
  }

  /** Whether a request is for the UI's files or the server. */
  private isOwn(request: Request): boolean {
    return request.url().startsWith("http") && new URL(request.url()).hostname === "127.0.0.1";
  }

  private end(request: Request): void {
    this.loading.delete(request);
    this.quietSince = Date.now();
  }

  private nameOf(request: Request): string {
    return `${request.method()} ${new URL(request.url()).pathname}`;
  }
}
