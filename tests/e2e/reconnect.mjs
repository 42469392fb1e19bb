// Two people in a call whose media worker dies: the test kills it once both see each other.
import { connectionOf } from "./browsers.mjs";
import { accept, comesByAnother, enter, hangUp, inCall, meet, seesAndHears, videoCall } from "./calling.mjs";
import { cue, play, shoot } from "./play.mjs";

let pages;

async function startCall(browser) {
  pages = [await enter(browser, "erin"), await enter(browser, "frank")];
  await meet(pages[0], "frank");
  await videoCall(pages[0]);
  await accept(pages[1]);
  for (const page of pages) await seesAndHears(page, 1);
}

async function outliveTheWorker() {
  const before = await Promise.all(pages.map(connectionOf));
  await cue("kill the media worker");
  // The page says "Reconnecting…" only when the call has not gone over to another worker before the loss is noticed.
  const after = await Promise.all(pages.map((page, i) => comesByAnother(page, before[i])));
  for (const page of pages) await inCall(page);
  await shoot(pages[0], "after-reconnect-wide-light");
  return { after };
}

await play({
  "two call each other": startCall,
  "the call outlives its media worker": outliveTheWorker,
  "one hangs up": () => hangUp(...pages),
});
