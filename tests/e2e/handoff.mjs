// Two people in a call that moves to another media worker, as often as there are names of moves.
// Usage: node handoff.mjs <web address> <chromium> <folder for screenshots> <move>...
// Before each move, once both see each other, the test is told its name; it tells the call to move.
// The facts of a move: by screen, how many pictures it showed from the move on, by how many connections, and the longest time
// between two of them, with the longest of as many pictures before the move.
import { connectionOf } from "./browsers.mjs";
import { accept, enter, hangUp, meet, videoCall } from "./calling.mjs";
import { cue, more, play } from "./play.mjs";
import { eventually, upTo } from "./waiting.mjs";

/** Pictures before a move, and after it: enough to say that they go on. */
const SPAN = 25;
let pages;

async function startCall(browser) {
  pages = [await enter(browser, "gina"), await enter(browser, "hugo")];
  await meet(pages[0], "hugo");
  await videoCall(pages[0]);
  await accept(pages[1]);
  await Promise.all(pages.map((page) => page.locator("video.remote-video").waitFor()));
  await Promise.all(pages.map(watch));
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

/** Waits until the screen has shown so many more pictures, and returns how many it has shown by then. */
async function showsMore(page, count) {
  const before = await pictures(page);
  const goal = before + count;
  return (await eventually(`${count} more pictures on the screen`, () => pictures(page), (now) => now >= goal, (now) => upTo(goal, now))) - before;
}

/** What was seen since the last time. */
const forget = (page) =>
  page.evaluate(() => {
    const { longestMs, reconnecting } = window.__seen;
    Object.assign(window.__seen, { longestMs: 0, reconnecting: false });
    return { gapMs: Math.round(longestMs), reconnecting };
  });

/** Waits until the page is on another connection, and has shown pictures after that. */
async function goesOnElsewhere(page, before) {
  await eventually("another connection", () => connectionOf(page), (now) => Boolean(now) && now !== before);
  return showsMore(page, SPAN);
}

const moved = (name) => async () => {
  await Promise.all(pages.map(forget));
  await Promise.all(pages.map((page) => showsMore(page, SPAN)));
  const usual = await Promise.all(pages.map(forget));
  const before = await Promise.all(pages.map(connectionOf));
  await cue(name);
  const shown = await Promise.all(pages.map((page, i) => goesOnElsewhere(page, before[i])));
  const moving = await Promise.all(pages.map(forget));
  return { [name]: moving.map((seen, i) => ({ ...seen, shown: shown[i], usualMs: usual[i].gapMs })) };
};

await play({
  "two call each other": startCall,
  ...Object.fromEntries(more.map((name) => [`the call moves, by ${name}`, moved(name)])),
  "one hangs up": () => hangUp(...pages),
});
