// Two people in a call whose media worker dies.
// Usage: node reconnect.mjs <web address> <chromium> <folder for screenshots>
// Prints "in call" once both see each other, and reads a line when the worker was killed and runs again.
import { connectionOf, eventually, received } from "./browsers.mjs";
import { accept, calling, gone, inCall, meet, play, press, stage, told, videoCall } from "./calling.mjs";

const [url, executablePath, folder] = process.argv.slice(2);

async function outliveTheWorker(browser, facts) {
  const enter = stage(browser, url, facts.faults);
  const pages = [await enter("erin"), await enter("frank")];
  await meet(pages[0], "frank");
  await videoCall(pages[0]);
  await accept(pages[1]);
  for (const page of pages) await eventually("frames come", () => received(page), (r) => r.framesDecoded > 5);
  const before = await Promise.all(pages.map(connectionOf));
  console.log("in call");
  await told();
  // The page says "Reconnecting…" only when the call has not gone over to another worker before the loss is noticed.
  const after = await Promise.all(
    pages.map((page, i) =>
      eventually(
        "frames and sound come by another connection",
        async () => ({ ...(await received(page)), connection: await connectionOf(page) }),
        (now) => now.connection && now.connection !== before[i] && now.framesDecoded > 5 && now.audioEnergy > 0,
      ),
    ),
  );
  for (const page of pages) await inCall(page);
  await pages[0].screenshot({ path: `${folder}/after-reconnect-wide-light.png` });
  await press(pages[0], "Hang up");
  await gone(calling(pages[1]));
  return { after };
}

await play(executablePath, [], [outliveTheWorker]);
