// Two people in a call that moves to another media worker.
// Usage: node handoff.mjs <web address> <chromium>
// Prints "in call" once both see each other, and reads a line once the call was told to move. Ends with one JSON object:
// the longest time between two pictures on each screen over the move, and what came after it.
import { createInterface } from "node:readline";
import { eventually, launch, person } from "./browsers.mjs";

const [url, executablePath] = process.argv.slice(2);
const faults = [];
const name = (who) => `${who}-${Date.now().toString(36)}`;

async function startCall(browser) {
  const [gina, hugo] = [name("gina"), name("hugo")];
  const caller = await person(browser, `${url}?user=${gina}`, {}, faults);
  const callee = await person(browser, `${url}?user=${hugo}`, {}, faults);
  await callee.getByRole("button", { name: "New conversation" }).waitFor();
  await caller.getByRole("button", { name: "New conversation" }).click();
  await caller.getByLabel("Message someone").fill(hugo);
  await caller.keyboard.press("Enter");
  await caller.getByRole("button", { name: /^Video call with/ }).click();
  await callee.getByRole("button", { name: "Accept", exact: true }).click();
  return [caller, callee];
}

/** Notes each picture that the screen shows of the other one, whatever element and connection it comes by. */
function watch(page) {
  return page.evaluate(() => {
    const seen = { pictures: 0, longestMs: 0, last: 0, states: new Set() };
    let watched;
    const note = (now) => {
      if (seen.last) seen.longestMs = Math.max(seen.longestMs, now - seen.last);
      seen.last = now;
      seen.pictures += 1;
      watched?.requestVideoFrameCallback(note);
    };
    setInterval(() => {
      const video = document.querySelector("video.remote-video");
      seen.states.add(document.querySelector("[data-testid=call-status]")?.textContent?.includes("Reconnecting") ?? false);
      if (video === watched) return;
      watched = video ?? undefined;
      watched?.requestVideoFrameCallback(note);
    }, 20);
    window.__seen = seen;
  });
}

const pictures = (page) => page.evaluate(() => window.__seen.pictures);

const browser = await launch(executablePath);
const facts = {};
try {
  const pages = await startCall(browser);
  await Promise.all(pages.map((page) => page.locator("video.remote-video").waitFor()));
  await Promise.all(pages.map(watch));
  await Promise.all(pages.map((page) => eventually("pictures come", () => pictures(page), (n) => n > 10)));
  console.log("in call");
  for await (const _ of createInterface({ input: process.stdin })) break;
  const before = await Promise.all(pages.map(pictures));
  await Promise.all(pages.map((page, i) => eventually("pictures go on", () => pictures(page), (n) => n > before[i] + 60)));
  facts.sides = await Promise.all(
    pages.map((page) =>
      page.evaluate(() => ({ gapMs: Math.round(window.__seen.longestMs), pictures: window.__seen.pictures, reconnecting: window.__seen.states.has(true) })),
    ),
  );
  await pages[0].getByRole("button", { name: "Hang up" }).click();
  await pages[1].getByRole("dialog").waitFor({ state: "detached" });
} catch (error) {
  facts.failure = error.message;
} finally {
  await browser.close();
}
console.log(JSON.stringify({ ...facts, faults }));
process.exit(0);
