// Two people in two browsers: what a user gets, done by clicking.
import { received, says } from "./browsers.mjs";
import { goesOn, vouch } from "./calling.mjs";
import { faults, open, play, shoot, url } from "./play.mjs";
import { eventually, upTo } from "./waiting.mjs";

let alice, bob;
/** Of calls that the two had before. */
let recordsBefore;
// A row and a seat of this run's own, since the people may have talked before.
const seat = Date.now() % 100_000;
const HELLO = `Hi Bob! I have the tickets: row ${Math.floor(seat / 1000) + 1}, seat ${seat % 1000}.`;
const ANSWER = `Wonderful! Then number ${(seat % 1000) + 1} beside it in row ${Math.floor(seat / 1000) + 1} is mine?`;

const OFFLINE = `Train is in a tunnel. Seat ${seat % 1000}, right?`;

const WIDE = { viewport: { width: 1200, height: 780 }, colorScheme: "light" };
const PHONE = { viewport: { width: 390, height: 800 }, colorScheme: "dark" };

const bubble = (page, text) => page.getByRole("log").getByText(text, { exact: true });
const write = async (page, text) => {
  await page.getByRole("textbox", { name: /^Message to/ }).fill(text);
  await page.keyboard.press("Enter");
};
/** The ticks of one's newest message. */
const lastReceipt = (page) => page.getByRole("log").getByTestId("receipt").last();
const records = (page) => page.getByTestId("call-record").count();
const status = (page) => page.getByTestId("call-status").textContent();

async function logIn() {
  await shoot(alice, "login-wide-light");
  await alice.getByRole("button", { name: "Continue as Alice" }).click();
  await bob.getByRole("button", { name: "Continue as Bob" }).click();
  for (const page of [alice, bob]) await page.getByRole("button", { name: "New conversation" }).waitFor();
  // Other scenarios have logged in as these people, in browsers that are gone.
  for (const page of [alice, bob]) await vouch(page);
  return { logged_in: true };
}

async function meet() {
  await alice.getByRole("button", { name: "New conversation" }).click();
  await alice.getByLabel("Message someone").fill("bob");
  await alice.keyboard.press("Enter");
  await alice.getByRole("heading", { name: /^Bob/, level: 2 }).waitFor();
  await bob.getByRole("button", { name: /^Alice/ }).click();
  for (const page of [alice, bob]) await page.getByTestId("presence").getByText("Online", { exact: true }).waitFor();
  return { see_each_other_online: true };
}

async function talk() {
  await write(alice, HELLO);
  await bubble(bob, HELLO).waitFor();
  await lastReceipt(alice).and(alice.getByLabel("Read")).waitFor();
  await says(alice, /is typing/, () => bob.getByRole("textbox", { name: /^Message to/ }).pressSequentially("I am writing"));
  await shoot(alice, "typing-wide-light");
  await write(bob, ANSWER);
  await bubble(alice, ANSWER).waitFor();
  await alice.getByTestId("typing").waitFor({ state: "detached" });
  await lastReceipt(bob).and(bob.getByLabel("Read")).waitFor();
  await shoot(bob, "conversation-phone-dark");
  const counts = await Promise.all([alice, bob].flatMap((page) => [HELLO, ANSWER].map((text) => bubble(page, text).count())));
  return { typing_seen: true, read_seen: true, copies_of_each_message: counts };
}

async function ring() {
  recordsBefore = await records(alice);
  await alice.getByRole("button", { name: /^Video call with/ }).click();
  await bob.getByRole("alertdialog", { name: /^Incoming video call from Alice/ }).waitFor();
  await eventually("the caller hears that it rings", () => status(alice), (text) => text === "Ringing…");
  await shoot(bob, "incoming-phone-dark");
  await shoot(alice, "ringing-wide-light");
  await bob.getByRole("button", { name: "Accept", exact: true }).click();
  for (const page of [alice, bob]) await eventually("the clock runs", () => status(page), (text) => /^\d+:\d\d$/.test(text ?? ""));
  return { rang: true };
}

/** Pictures that say that they move, and sound of as long that it says that it goes on. */
const MOVING = 10;
const SOUND_S = 1;

async function seeAndHear() {
  const media = {};
  for (const [name, page] of [["alice", alice], ["bob", bob]]) {
    const first = await eventually(`${name} sees frames`, () => received(page), (r) => r.framesDecoded > 0);
    const goal = first.framesDecoded + MOVING;
    const later = await eventually(
      `${name} goes on seeing and hearing`,
      () => received(page),
      (r) => r.framesDecoded >= goal && r.audioEnergy > 0 && r.audioSeconds >= SOUND_S,
      (r) => [upTo(goal, r.framesDecoded), r.audioEnergy > 0, upTo(SOUND_S, r.audioSeconds)],
    );
    media[name] = { first, later };
  }
  await shoot(alice, "call-wide-light");
  await shoot(bob, "call-phone-dark");
  return { media };
}

async function muteAndDarken() {
  await alice.getByRole("button", { name: "Mute", exact: true }).click();
  await bob.getByTestId("peer-state").getByText("is muted").waitFor();
  await alice.getByRole("button", { name: "Turn camera off" }).click();
  await bob.getByTestId("peer-state").getByText("camera is off").waitFor();
  await shoot(bob, "muted-phone-dark");
  const quiet = await silence(bob);
  await alice.getByRole("button", { name: "Unmute", exact: true }).click();
  await alice.getByRole("button", { name: "Turn camera on" }).click();
  await bob.getByTestId("peer-state").waitFor({ state: "detached" });
  await goesOn(bob);
  return { mute_seen: true, camera_off_seen: true, energy_while_muted: quiet, camera_seen_again: true };
}

/** The audio energy that one more second brings, once what was on its way has been played. */
async function silence(page) {
  const second = (from) => {
    const end = from.audioSeconds + 1;
    return eventually("one more second of sound", () => received(page), (r) => r.audioSeconds >= end, (r) => upTo(end, r.audioSeconds));
  };
  const start = await second(await received(page));
  return (await second(start)).audioEnergy - start.audioEnergy;
}

async function hangUp() {
  await alice.getByRole("button", { name: "Make call smaller" }).click();
  await alice.getByRole("button", { name: "Enlarge call" }).waitFor();
  await shoot(alice, "small-call-wide-light");
  await bob.getByRole("button", { name: "Hang up" }).click();
  const texts = [];
  for (const page of [alice, bob]) {
    await eventually("one more record", () => records(page), (count) => count === recordsBefore + 1);
    texts.push(await page.getByTestId("call-record").last().textContent());
    await page.getByRole("dialog").waitFor({ state: "detached" });
  }
  const open = await Promise.all([alice, bob].map((page) => page.evaluate(() => window.parley.stats().then((s) => s.length))));
  return { call_records: texts, connections_after: open };
}

async function reload() {
  for (const page of [alice, bob]) {
    await page.reload();
    for (const text of [HELLO, ANSWER]) await bubble(page, text).waitFor();
    await eventually("the record is there", () => records(page), (count) => count >= 1);
  }
  await alice.getByTestId("presence").getByText("Online", { exact: true }).waitFor();
  await alice.emulateMedia({ colorScheme: "dark" });
  await shoot(alice, "conversation-wide-dark");
  await bob.emulateMedia({ colorScheme: "light" });
  await shoot(bob, "conversation-phone-light");
  await bob.getByRole("button", { name: "Back to conversations" }).click();
  await bob.getByRole("button", { name: /^Alice/ }).waitFor();
  await shoot(bob, "list-phone-light");
  return { reload_keeps_messages: true };
}

/** The fake network of the browser is cut for Bob; his page's failed requests are what is meant to happen. */
async function loseTheNetwork() {
  await bob.getByRole("button", { name: /^Alice/ }).click();
  const faultsBefore = faults.length;
  await bob.context().setOffline(true);
  await write(bob, OFFLINE);
  const line = bob.getByRole("status").getByText("offline").and(bob.locator(":visible"));
  await line.waitFor();
  const text = await line.textContent();
  await shoot(bob, "offline-phone-light");
  await bob.context().setOffline(false);
  await bubble(alice, OFFLINE).waitFor();
  await line.waitFor({ state: "detached" });
  faults.splice(faultsBefore, Infinity, ...faults.slice(faultsBefore).filter((f) => !f.includes("INTERNET_DISCONNECTED")));
  return { offline_line: text, offline_message_arrived: true };
}

/** Carol's browser gives her neither camera nor microphone. */
async function callWithoutDevices(browser) {
  const carol = await open(browser, url, { ...WIDE, permissions: [] });
  await carol.getByRole("button", { name: "Continue as Carol" }).click();
  await carol.getByRole("button", { name: "New conversation" }).waitFor();
  await vouch(carol);
  await carol.getByRole("button", { name: "New conversation" }).click();
  await carol.getByLabel("Message someone").fill("bob");
  await carol.keyboard.press("Enter");
  await carol.getByRole("button", { name: /^Video call with/ }).click();
  await bob.getByRole("button", { name: "Accept", exact: true }).click();
  const seen = await eventually("Carol sees Bob", () => received(carol), (r) => r.framesDecoded > 0);
  const text = await carol.getByRole("alert").textContent();
  await shoot(carol, "refused-wide-light");
  await carol.getByRole("button", { name: "Hang up" }).click();
  await bob.getByRole("dialog").waitFor({ state: "detached" });
  await carol.context().close();
  return { refused_line: text, refused_sees_frames: seen.framesDecoded };
}

async function closeInACall() {
  await alice.getByRole("button", { name: /^Voice call with/ }).click();
  await bob.getByRole("button", { name: "Accept", exact: true }).click();
  await eventually("the clock runs", () => status(bob), (text) => /^\d+:\d\d$/.test(text ?? ""));
  await alice.goto("about:blank");
  // A browser without time to spare ends the page before its last word is out. Then its silence is noticed, and that its
  // event stream is closed.
  await eventually("the call ends for the other", () => bob.getByRole("dialog").count(), (count) => count === 0);
  return { closed_tab_hangs_up: true };
}

async function enterBoth(browser) {
  [alice, bob] = [await open(browser, url, WIDE), await open(browser, url, PHONE)];
}

await play({
  "both open the page": enterBoth,
  "both log in": logIn,
  "they find each other": meet,
  "they write to each other": talk,
  "a call rings and is accepted": ring,
  "both see and hear each other": seeAndHear,
  "one mutes and turns the camera off": muteAndDarken,
  "one hangs up": hangUp,
  "the pages are loaded again": reload,
  "one loses the network": loseTheNetwork,
  "one calls without camera and microphone": callWithoutDevices,
  "a page is closed in a call": closeInACall,
});
