// A person in headless Firefox, driven by WebDriver BiDi: what the scenarios need of a page, by the names that it shows.
import { createRequire } from "node:module";
import { GaveUp } from "./telling.mjs";
import { PATIENCE_MS } from "./waiting.mjs";

const require = createRequire(import.meta.url);
const puppeteer = require("puppeteer-core");

const PREFERENCES = {
  "media.navigator.streams.fake": true,
  "media.navigator.permission.disabled": true,
  "media.peerconnection.ice.loopback": true,
  "permissions.default.camera": 1,
  "permissions.default.microphone": 1,
  // A page that nobody looks at is not slowed down, and its players start by themselves.
  "dom.min_background_timeout_value": 4,
  "media.autoplay.default": 0,
  "app.update.enabled": false,
  "datareporting.policy.dataSubmissionEnabled": false,
};

export function launchFirefox(executablePath) {
  return puppeteer.launch({
    browser: "firefox",
    executablePath,
    headless: true,
    extraPrefsFirefox: PREFERENCES,
    protocolTimeout: 2 * PATIENCE_MS,
  });
}

/** A page whose errors end up in `faults`. */
export async function openInFirefox(browser, url, faults) {
  const page = await browser.newPage();
  page.setDefaultTimeout(PATIENCE_MS);
  page.on("pageerror", (error) => faults.push(`firefox, page error: ${error.message}`));
  page.on("console", (message) => {
    if (message.type() === "error") faults.push(`firefox, console: ${message.text()}`);
  });
  await page.evaluateOnNewDocument(smallPictures);
  await page.goto(url);
  return page;
}

/** Runs in the page: three encoders of a large picture would take all of a small machine. */
function smallPictures() {
  // The empty page before the first one has none.
  if (!navigator.mediaDevices) return;
  const ask = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
  navigator.mediaDevices.getUserMedia = ({ audio, video }) => ask({ audio, video: video && { width: 320, height: 180, frameRate: 10 } });
}

/** Clicks the button of a name that begins so, or else has it within, as soon as it is there. */
export async function pressIn(page, name) {
  const button = await page.waitForFunction(
    (wanted) => {
      const named = [...document.querySelectorAll("button:not([disabled])")].map((it) => [it, (it.getAttribute("aria-label") ?? it.textContent).trim()]);
      return (named.find(([, called]) => called.startsWith(wanted)) ?? named.find(([, called]) => called.includes(wanted)))?.[0];
    },
    { polling: 100 },
    name,
  ).catch((error) => fail(page, `a button "${name}"`, error));
  await button.evaluate((it) => it.click());
}

/** Writes into the field whose name begins so, and sends it. */
export async function writeIn(page, label, text) {
  const selector = `[aria-label^="${label}"]`;
  await page.waitForSelector(selector).catch((error) => fail(page, `a field "${label}"`, error));
  await page.type(selector, text);
  await page.keyboard.press("Enter");
}

/** Waits until the page shows a text. */
export async function showsIn(page, text) {
  await page.waitForFunction((wanted) => document.body.innerText.includes(wanted), { polling: 100 }, text).catch((error) => fail(page, `the text "${text}"`, error));
}

async function fail(page, what, cause) {
  const seen = await page.evaluate(() => document.body.innerText.slice(0, 400)).catch(() => "nothing: the page is gone");
  throw new GaveUp(what, seen, { cause });
}

/** The reports of what the page receives in its call. */
export async function inboundIn(page) {
  const reports = await page.evaluate(() => window.parley.stats().then((all) => JSON.stringify(all)));
  return JSON.parse(reports).filter((report) => report.type === "inbound-rtp");
}
