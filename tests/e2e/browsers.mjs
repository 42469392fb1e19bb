// Starts the one Chromium of the end-to-end test, and a person in a context of its own.
import { createRequire } from "node:module";

const require = createRequire(new URL("../../services/web/package.json", import.meta.url));
const { chromium } = require("playwright-core");

/** How long any single expectation may take, in milliseconds. Far above what is usual: other work may share the machine. */
export const PATIENCE_MS = 40_000;

const FLAGS = [
  "--no-sandbox",
  // Ten frames a second: six encoders share the machine with the whole stack.
  "--use-fake-device-for-media-stream=fps=10",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
  "--no-first-run",
  "--disable-quic",
  // Both people are on one screen that nobody looks at: none of them may be slowed down for it.
  "--disable-background-timer-throttling",
  "--disable-renderer-backgrounding",
  "--disable-backgrounding-occluded-windows",
];

export function launch(executablePath, args = []) {
  return chromium.launch({ executablePath, args: [...FLAGS, ...args] });
}

/** A person: a context with camera and microphone, whose page's errors end up in `faults`. `init` runs in it first. */
export async function person(browser, url, { init, ...options }, faults) {
  const context = await browser.newContext({ permissions: ["camera", "microphone"], ...options });
  if (init) await context.addInitScript(...init);
  const page = await context.newPage();
  page.setDefaultTimeout(PATIENCE_MS);
  page.on("pageerror", (error) => faults.push(`page error: ${error.message}`));
  page.on("console", (message) => {
    if (message.type() === "error") faults.push(`console: ${message.text()}`);
  });
  const asked = [];
  let known;
  page.on("request", (request) => (known ? blame(request.url()) : asked.push(request.url())));
  const blame = (address) => {
    const { origin, protocol } = new URL(address);
    if (protocol !== "blob:" && protocol !== "data:" && !known.has(origin)) faults.push(`foreign request: ${address}`);
  };
  const response = await page.goto(url);
  known = new Set([new URL(url).origin, ...storeOf(response)]);
  asked.forEach(blame);
  return page;
}

/** Where the page may put and fetch files, by its own policy: the one other host that it has reason to ask. */
function storeOf(response) {
  const policy = response?.headers()["content-security-policy"] ?? "";
  return /connect-src 'self'([^;]*)/.exec(policy)?.[1].trim().split(" ").filter(Boolean) ?? [];
}

/** Reads until `good` holds, and returns what was read; fails with `what` and the last reading. */
export async function eventually(what, read, good) {
  const deadline = Date.now() + PATIENCE_MS;
  for (;;) {
    const value = await read();
    if (good(value)) return value;
    if (Date.now() > deadline) throw new Error(`${what}: still ${JSON.stringify(value)}`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

/** What tells one connection of a page from another: the fragment that ICE gave it. */
export async function connectionOf(page) {
  const reports = await page.evaluate(() => window.parley.stats());
  return reports.find((report) => report.type === "local-candidate" && report.usernameFragment)?.usernameFragment;
}

/** What the page receives in its call, from getStats. */
export async function received(page) {
  const reports = await page.evaluate(() => window.parley.stats());
  const inbound = reports.filter((report) => report.type === "inbound-rtp");
  const sum = (kind, field) => inbound.filter((r) => r.kind === kind).reduce((total, r) => total + (r[field] ?? 0), 0);
  return {
    framesDecoded: sum("video", "framesDecoded"),
    frameWidth: Math.max(0, ...inbound.map((r) => r.frameWidth ?? 0)),
    audioEnergy: sum("audio", "totalAudioEnergy"),
    audioSeconds: sum("audio", "totalSamplesDuration"),
  };
}
