// Three people in a group's call: everything that its windows offer, done by clicking.
import { says } from "./browsers.mjs";
import { accept, calling, enter, found, goesOn, gone, id, inCall, press, record, seesAndHears, voiceCall } from "./calling.mjs";
import { play, shoot } from "./play.mjs";
import { eventually } from "./waiting.mjs";

const TITLE = `Choir ${Date.now().toString(36)}`;
const WIDE = { viewport: { width: 1200, height: 780 }, colorScheme: "light" };
const PHONE = { viewport: { width: 390, height: 800 }, colorScheme: "dark", hasTouch: true };

let anna, ben, cleo;
const tile = (page, who) => page.getByTestId("tile").and(page.locator(`[data-user="${id(who)}"]`));
const people = (page) => press(page, /^People in the call/);
const banner = (page) => page.getByRole("region", { name: "Call in this conversation" });

/** Anna starts, Ben answers its ring, Cleo declines and joins later by the conversation. */
async function startAndJoin(browser) {
  [anna, ben, cleo] = [await enter(browser, "anna", WIDE), await enter(browser, "ben", PHONE), await enter(browser, "cleo", WIDE)];
  await found(TITLE, anna, ["ben", "cleo"], [ben, cleo]);
  await voiceCall(anna);
  await cleo.getByRole("alertdialog", { name: `Incoming voice call from ${TITLE}` }).waitFor();
  await accept(ben);
  for (const page of [anna, ben]) await inCall(page);
  await press(cleo, "Decline");
  await eventually("the conversation says who is in", () => banner(cleo).getByTestId("in-call").textContent(), (line) => line === `${id("anna")} and ${id("ben")}`);
  const mark = await cleo.getByRole("img", { name: "Call, 2 in it" }).count();
  await shoot(cleo, "call-banner-wide-light");
  await press(cleo, "Join");
  await inCall(cleo);
  return { joined_later: true, list_shows_the_call: mark };
}

/** It began without pictures: each switches the camera on. */
async function seeAndHear() {
  for (const page of [anna, ben, cleo]) await press(page, "Turn camera on");
  const seen = await Promise.all([anna, ben, cleo].map((page) => seesAndHears(page, 2)));
  for (const page of [anna, ben, cleo]) await page.getByTestId("tile").nth(2).waitFor();
  await shoot(anna, "group-call-wide-light");
  await shoot(ben, "group-call-phone-dark");
  return { seen };
}

async function handAndMute() {
  await press(ben, "Raise hand");
  await tile(anna, "ben").getByText("hand raised").waitFor();
  await people(anna);
  const first = await anna.getByRole("complementary", { name: "People" }).getByRole("listitem").first().textContent();
  await shoot(anna, "call-people-wide-light");
  await press(ben, "Lower hand");
  await gone(tile(anna, "ben").getByText("hand raised"));
  await press(ben, "Mute");
  await tile(anna, "ben").getByText(", muted").waitFor();
  await press(ben, "Unmute");
  await gone(tile(anna, "ben").getByText(", muted"));
  return { hand_first: first.includes(id("ben")), mute_seen: true };
}

async function askForSilence() {
  await press(anna, `Actions for ${id("cleo")}`);
  await anna.getByRole("menuitem", { name: "Ask to be quiet" }).click();
  const prompt = cleo.getByRole("alert");
  const line = await prompt.locator("span").textContent();
  await tile(anna, "cleo").getByText(", muted").waitFor();
  await shoot(cleo, "asked-for-silence-wide-light");
  await press(cleo, "Unmute now");
  await gone(tile(anna, "cleo").getByText(", muted"));
  await gone(prompt);
  return { asked_line: line };
}

async function shareAScreen() {
  await press(ben, "Share your screen");
  await anna.getByTestId("screen-tile").waitFor();
  await eventually("the screen has a picture", () => anna.getByTestId("screen-tile").locator("video").evaluate((video) => video.videoWidth), (width) => width > 0);
  await shoot(anna, "shared-screen-wide-light");
  await press(ben, "Stop");
  await gone(anna.getByTestId("screen-tile"));
  return { screen_seen: true };
}

async function leaveAndRejoin() {
  const line = await says(cleo, /left/, () => press(cleo, "Leave call"));
  await gone(tile(anna, "cleo"));
  await press(cleo, "Join");
  await inCall(cleo);
  await press(cleo, "Turn camera on");
  await seesAndHears(cleo, 2);
  await tile(anna, "cleo").waitFor();
  return { left_line: line, rejoined: true };
}

/** Ben's tablet takes the call from his phone. */
async function moveToAnotherDevice(browser) {
  const tablet = await enter(browser, "ben", WIDE);
  await tablet.getByRole("button", { name: new RegExp(`^${TITLE}`) }).click();
  await says(ben, /^The call goes on on your other device/, () => press(tablet, "Move here"));
  await inCall(tablet);
  await gone(calling(ben));
  await seesAndHears(tablet, 2);
  await press(tablet, "Turn camera on");
  await goesOn(anna);
  const tiles = await anna.getByTestId("tile").count();
  await ben.context().close();
  ben = tablet;
  return { moved: true, tiles_after_move: tiles };
}

async function lockAndRemove() {
  await press(anna, "Lock call");
  await press(cleo, "Leave call");
  await eventually("the call is locked for who is out", () => banner(cleo).getByTestId("in-call").textContent(), (line) => line?.startsWith("Locked · ") ?? false);
  const shut = await banner(cleo).getByRole("button", { name: "Join", exact: true }).isDisabled();
  await press(anna, "Unlock call");
  await press(cleo, "Join");
  await inCall(cleo);
  await press(anna, `Actions for ${id("cleo")}`);
  await anna.getByRole("menuitem", { name: "Remove from call…" }).click();
  const line = await says(cleo, /removed from this call/, () => anna.getByRole("alertdialog").getByRole("button", { name: "Remove" }).click());
  await banner(cleo).getByText("You were removed").waitFor();
  return { locked_out: shut, removed_line: line };
}

async function endForAll() {
  await press(anna, "End call for all");
  await anna.getByRole("alertdialog").getByRole("button", { name: "End for all" }).click();
  await gone(calling(ben));
  await gone(banner(cleo));
  return { record: await record(cleo) };
}

const FLAGS = ["--auto-select-tab-capture-source-by-title=Parley", "--auto-accept-this-tab-capture"];
await play({
  "Anna starts a call and the others join": startAndJoin,
  "all see and hear each other": seeAndHear,
  "a hand is raised and a microphone muted": handAndMute,
  "Cleo is asked to be quiet": askForSilence,
  "a screen is shared": shareAScreen,
  "one leaves and joins again": leaveAndRejoin,
  "Ben moves the call to his tablet": moveToAnotherDevice,
  "the call is locked and one is removed": lockAndRemove,
  "the call ends for all": endForAll,
}, { args: FLAGS });
