// Plays a scenario: its steps one after the other, each reported with what was seen in it as soon as it is over.
// All scenarios are called alike: node NAME.mjs <web address> <chromium> <folder for screenshots> <more>...
//
// Each line of the output is one JSON object (read by tests/e2e/scenarios.py):
//   {"step": sentence}                      a step begins
//   {"waits": what}                         it waits for this
//   {"moved": what}                         it goes on
//   {"cue": text}                           the test is to do something now, and then writes a line
//   {"done": step, "ms": ..., "facts": {}}  the step is over, and this was seen
//   {"end": {"faults", "screenshots"}}      all steps are over
//   {"failure": {"step", "after_s", "waited_for", "seen", "error"}, "faults": []}
//                                           one was not: what it waited for and what it last saw, or another error
import { createInterface } from "node:readline";
import { writeFileSync } from "node:fs";
import { basename } from "node:path";
import { launch, person } from "./browsers.mjs";
import { tell } from "./telling.mjs";
import { say } from "./waiting.mjs";

export const [url, executablePath, folder, ...more] = process.argv.slice(2);
const SCENARIO = basename(process.argv[1], ".mjs");
/** Errors of the pages, and requests to others than the page's own host. */
export const faults = [];
const screenshots = [];
/** For what a page says when a step has failed. Raising it: a page that is dead holds up the report. Lowering it: one that is slow is not heard. */
const ANSWER_MS = 5000;

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

/**
 * Plays steps one after the other: functions by the sentence that says what happens. Each gets the browser, and returns facts by
 * name.
 */
export async function play(steps, options) {
  let browser;
  let step = "the browser starts";
  const started = Date.now();
  try {
    browser = await launch(executablePath, options);
    for (const [sentence, run] of Object.entries(steps)) {
      step = sentence;
      const began = Date.now();
      say({ step });
      const facts = await run(browser);
      say({ done: step, ms: Date.now() - began, facts: facts ?? {} });
    }
    say({ end: { faults, screenshots } });
  } catch (error) {
    const failed = { step, after_s: Math.round((Date.now() - started) / 1000), ...tell(error, await sayings(browser)) };
    await keepPages(browser, step);
    say({ failure: failed, faults });
  }
  await browser?.close().catch(() => undefined);
  process.exit(0);
}

const pagesOf = (browser) => browser?.contexts().flatMap((context) => context.pages()) ?? [];

/** The last line that each page said (keepLines in browsers.mjs). */
async function sayings(browser) {
  const said = pagesOf(browser).map((page) => {
    const silence = new Promise((resolve) => setTimeout(resolve, ANSWER_MS, "no answer"));
    const line = page.evaluate(() => window.__lines?.at(-1) ?? "").catch((error) => error.message);
    return Promise.race([line, silence]);
  });
  return (await Promise.all(said)).map((line) => JSON.stringify(line)).join(", ");
}

/** What the pages showed when a step failed, as a picture and as text. */
async function keepPages(browser, step) {
  for (const [number, page] of pagesOf(browser).entries()) {
    const path = `${folder}/failed-${SCENARIO}-${step.replace(/\W+/g, "-")}-${number}`;
    await page.screenshot({ path: `${path}.png` }).catch(() => undefined);
    const text = await page.locator("body").ariaSnapshot().catch((error) => error.message);
    writeFileSync(`${path}.txt`, `${page.url()}\n${text}\n`);
  }
}
