// Plays a scenario: its steps one after the other, each reported with what was seen in it as soon as it is over.
// All scenarios are called alike: node NAME.mjs <web address> <chromium> <folder for screenshots> <more>...
//
// Each line of the output is one JSON object (read by tests/e2e/scenarios.py):
//   {"step": name}                          a step begins
//   {"moved": what}                         it goes on
//   {"cue": text}                           the test is to do something now, and then writes a line
//   {"done": name, "ms": ..., "facts": {}}  the step is over, and this was seen
//   {"end": {"faults", "screenshots"}}      all steps are over
//   {"failure": text, "faults": []}         one was not: which, what it waited for and what it last saw
import { createInterface } from "node:readline";
import { writeFileSync } from "node:fs";
import { basename } from "node:path";
import { launch, person } from "./browsers.mjs";
import { say } from "./waiting.mjs";

export const [url, executablePath, folder, ...more] = process.argv.slice(2);
const SCENARIO = basename(process.argv[1], ".mjs");
/** Errors of the pages, and requests to others than the page's own host. */
export const faults = [];
const screenshots = [];

export async function shoot(page, name) {
  const path = `${folder}/${name}.png`;
  await page.screenshot({ path });
  screenshots.push(path);
}

/** Tells the test that its part comes now, and waits until it is done. */
export async function cue(text) {
  say({ cue: text });
  const lines = createInterface({ input: process.stdin });
  for await (const line of lines) {
    lines.close();
    return line;
  }
  throw new Error("the test has gone");
}

/** A page of the browser for somebody, whose errors end up in `faults`. */
export const open = (browser, address, options = {}) => person(browser, address, options, faults);

/** Plays functions as steps under their names. Each gets the browser, and returns facts by name. */
export async function play(steps, options) {
  let browser;
  let name = "launch";
  const started = Date.now();
  try {
    browser = await launch(executablePath, options);
    for (const step of steps) {
      name = step.name;
      const began = Date.now();
      say({ step: name });
      const facts = await step(browser);
      say({ done: name, ms: Date.now() - began, facts: facts ?? {} });
    }
    say({ end: { faults, screenshots } });
  } catch (error) {
    await keepPages(browser, name);
    const s = Math.round((Date.now() - started) / 1000);
    // eslint-disable-next-line no-control-regex
    say({ failure: `step ${name}, ${s} s after the start: ${error.message.replace(/\u001b\[\d+m/g, "")}`, faults });
  }
  await browser?.close().catch(() => undefined);
  process.exit(0);
}

/** What the pages showed when a step failed, as a picture and as text. */
async function keepPages(browser, name) {
  const pages = browser?.contexts().flatMap((context) => context.pages()) ?? [];
  for (const [number, page] of pages.entries()) {
    const path = `${folder}/failed-${SCENARIO}-${name}-${number}`;
    await page.screenshot({ path: `${path}.png` }).catch(() => undefined);
    const text = await page.locator("body").ariaSnapshot().catch((error) => error.message);
    writeFileSync(`${path}.txt`, `${page.url()}\n${text}\n`);
  }
}
