// Starts the one Chromium of the end-to-end test, and a person in a context of its own.
import { createRequire } from "node:module";
import { smallCamera } from "./camera.mjs";
import { eventually, moved, PATIENCE_MS } from "./waiting.mjs";

const require = createRequire(import.meta.url);
const { chromium } = require("playwright-core");

const FLAGS = [
  "--no-sandbox",
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

/** One browser for all people of a scenario. `camera` gives its flags (camera.mjs). */
export async function launch(executablePath, { args = [], camera = smallCamera } = {}) {
  const onClosed = [];
  const flags = camera((clean) => onClosed.push(clean));
  const browser = await chromium.launch({ executablePath, args: [...FLAGS, ...flags, ...args], timeout: PATIENCE_MS });
  browser.on("disconnected", () => onClosed.forEach((clean) => clean()));
  return browser;
}

/** A person: a context with camera and microphone, whose page's errors end up in `faults`. `init` runs in it first. */
export async function person(browser, url, { init, ...options }, faults) {
  // What moves on the page only to be looked at is drawn by the processor here. The scenarios name what they click in English.
  const context = await browser.newContext({ permissions: ["camera", "microphone"], reducedMotion: "reduce", locale: "en-US", ...options });
  await context.addInitScript(keepLines);
  if (init) await context.addInitScript(...init);
  const page = await context.newPage();
  page.setDefaultTimeout(PATIENCE_MS);
  page.on("requestfinished", () => moved("a page was answered"));
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

/** Runs in the page, before everything else: keeps what its lines said, since they go away by themselves after a while. */
function keepLines() {
  const lines = (window.__lines = []);
  const last = new WeakMap();
  const look = () => {
    for (const line of document.querySelectorAll("[role=status], [role=alert], [data-testid=call-status], [data-testid=typing]")) {
      const text = line.textContent.trim();
      if (text && last.get(line) !== text) lines.push(text);
      last.set(line, text);
    }
  };
  new MutationObserver(look).observe(document, { subtree: true, childList: true, characterData: true });
}

/** What the page has said since it was loaded, also what it does not say any more. */
const lines = (page) => page.evaluate(() => window.__lines);

/** Waits until the page has said something like this, and returns the line. `from`: how many lines to leave out. */
export async function said(page, pattern, from = 0) {
  const read = async () => (await lines(page)).slice(from);
  const like = (all) => all.find((line) => pattern.test(line));
  return like(await eventually(`a line like ${pattern}`, read, (all) => Boolean(like(all))));
}

/** Waits until the page has said something like this since `act` began, and returns the line. */
export async function says(page, pattern, act) {
  const before = (await lines(page)).length;
  await act();
  return said(page, pattern, before);
}

/** Where the page may put and fetch files, by its own policy: the one other host that it has reason to ask. */
function storeOf(response) {
  const policy = response?.headers()["content-security-policy"] ?? "";
  return /connect-src 'self'([^;]*)/.exec(policy)?.[1].trim().split(" ").filter(Boolean) ?? [];
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
