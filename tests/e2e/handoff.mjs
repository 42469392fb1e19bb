// Two people in a call that moves to another media worker, as often as there are names of moves.
// Usage: node handoff.mjs <web address> <chromium> <folder for screenshots> <move>...
// Prints "in call" before each move, once both see each other, and reads a line when the call was told to move.
// Ends with one JSON object: by move, the longest time between two pictures on each screen, and as long before the move.
import { connectionOf, eventually } from "./browsers.mjs";
import { accept, calling, gone, meet, play, press, stage, told, videoCall } from "./calling.mjs";

const [url, executablePath, , ...moves] = process.argv.slice(2);
/** Pictures before a move, and from it on: some seconds. */
const SPAN = 25;
let pages;

async function startCall(browser, facts) {
  const enter = stage(browser, url, facts.faults);
  pages = [await enter("gina"), await enter("hugo")];
  await meet(pages[0], "hugo");
  await videoCall(pages[0]);
  await accept(pages[1]);
  await Promise.all(pages.map((page) => page.locator("video.remote-video").waitFor()));
  await Promise.all(pages.map(watch));
  return {};
}

/** Notes each picture that the screen shows of the other one, whatever element and connection it comes by. */
function watch(page) {
  return page.evaluate(() => {
    const seen = { pictures: 0, longestMs: 0, last: 0, reconnecting: false };
    let watched;
    const note = (now) => {
      if (seen.last) seen.longestMs = Math.max(seen.longestMs, now - seen.last);
      seen.last = now;
      seen.pictures += 1;
      watched?.requestVideoFrameCallback(note);
    };
    setInterval(() => {
      const video = document.querySelector("video.remote-video");
      seen.reconnecting ||= document.querySelector("[data-testid=call-status]")?.textContent?.includes("Reconnecting") ?? false;
      if (video === watched) return;
      watched = video ?? undefined;
      watched?.requestVideoFrameCallback(note);
    }, 20);
    window.__seen = seen;
  });
}

const pictures = (page) => page.evaluate(() => window.__seen.pictures);
const more = async (page, count) => {
  const before = await pictures(page);
  await eventually("pictures go on", () => pictures(page), (now) => now > before + count);
};

/** What was seen since the last time. */
const forget = (page) =>
  page.evaluate(() => {
    const { longestMs, reconnecting } = window.__seen;
    Object.assign(window.__seen, { longestMs: 0, reconnecting: false });
    return { gapMs: Math.round(longestMs), reconnecting };
  });

const moved = (name) =>
  async function move() {
    await Promise.all(pages.map(forget));
    await Promise.all(pages.map((page) => more(page, SPAN)));
    const usual = await Promise.all(pages.map(forget));
    const before = await Promise.all(pages.map(connectionOf));
    console.log("in call");
    await told();
    await Promise.all(pages.map((page, i) => eventually("it has another connection", () => connectionOf(page), (now) => now && now !== before[i])));
    await Promise.all(pages.map((page) => more(page, SPAN)));
    const moving = await Promise.all(pages.map(forget));
    return { [name]: moving.map((seen, i) => ({ ...seen, usualMs: usual[i].gapMs })) };
  };

async function hangUp() {
  await press(pages[0], "Hang up");
  await gone(calling(pages[1]));
  return {};
}

await play(executablePath, [], [startCall, ...moves.map(moved), hangUp]);
