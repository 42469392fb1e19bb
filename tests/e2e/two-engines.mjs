// Firefox and Chromium write to each other and call each other, each once.
// After the arguments that all scenarios have comes Firefox's path.
import { accept, calling, enter as enterChromium, gone, id, inCall, meet, press, seesAndHears, videoCall, write } from "./calling.mjs";
import { inboundIn, launchFirefox, openInFirefox, pressIn, showsIn, writeIn } from "./firefox.mjs";
import { faults, folder, more, play, url } from "./play.mjs";
import { eventually, upTo } from "./waiting.mjs";

const [firefoxPath] = more;
const WIDE = { viewport: { width: 900, height: 600 }, colorScheme: "light" };
const [QUESTION, ANSWER] = ["Does it work from Firefox?", "It does, from Chromium too."];

let firefox, cara, finn;
const dialog = () => finn.evaluate(() => document.querySelector('[role=dialog][aria-label^="Call with"]') !== null);

async function enter(browser) {
  cara = await enterChromium(browser, "cara", WIDE);
  firefox = await launchFirefox(firefoxPath);
  finn = await openInFirefox(firefox, `${url}?user=${id("finn")}`, faults);
  return { firefox: await firefox.version() };
}

async function writeBothWays() {
  await meet(cara, "finn");
  await write(cara, QUESTION);
  await pressIn(finn, id("cara"));
  await showsIn(finn, QUESTION);
  await writeIn(finn, "Message to", ANSWER);
  await cara.getByText(ANSWER).first().waitFor();
  return { written: true };
}

/** What Firefox decodes, once pictures have moved and sound is there. */
async function finnSeesAndHears() {
  const read = async () => {
    const inbound = await inboundIn(finn);
    return {
      frames: Math.max(0, ...inbound.map((report) => report.framesDecoded ?? 0)),
      energy: inbound.reduce((sum, report) => sum + (report.totalAudioEnergy ?? 0), 0),
    };
  };
  return eventually("Firefox sees and hears", read, ({ frames, energy }) => frames > 10 && energy > 0, ({ frames }) => upTo(11, frames));
}

async function chromiumCalls() {
  await videoCall(cara);
  await pressIn(finn, "Accept");
  await inCall(cara);
  const seen = { chromium: await seesAndHears(cara, 1), firefox: await finnSeesAndHears() };
  await finn.screenshot({ path: `${folder}/call-firefox.png` });
  await pressIn(finn, "Hang up");
  await gone(calling(cara));
  await eventually("it is over in Firefox", dialog, (open) => !open);
  return { chromium_calls: seen };
}

async function firefoxCalls() {
  await pressIn(finn, "Video call with");
  await accept(cara);
  await inCall(cara);
  const seen = { chromium: await seesAndHears(cara, 1), firefox: await finnSeesAndHears() };
  await press(cara, "Hang up");
  await eventually("it is over in Firefox", dialog, (open) => !open);
  return { firefox_calls: seen };
}

async function leave() {
  await firefox.close();
  return {};
}

process.on("exit", () => firefox?.process()?.kill());
await play({
  "both open the page": enter,
  "they write to each other": writeBothWays,
  "Chromium calls Firefox": chromiumCalls,
  "Firefox calls Chromium": firefoxCalls,
  "Firefox ends": leave,
});
