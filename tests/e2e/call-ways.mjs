// The ways that a call of two can go, with several devices: answered elsewhere, declined, cancelled, placed by both at once,
// waiting during another one, come back to after a crash, refused, and missed.
import { said, says } from "./browsers.mjs";
import { accept, calling, enter, goesOn, gone, id, inCall, meet, press, record, ringing, seesAndHears, videoCall, voiceCall, write } from "./calling.mjs";
import { faults, play, shoot, url } from "./play.mjs";
import { eventually, PATIENCE_MS, upTo } from "./waiting.mjs";

const PHONE = { viewport: { width: 390, height: 800 }, colorScheme: "dark", hasTouch: true };
const WIDE = { viewport: { width: 1200, height: 780 }, colorScheme: "light" };

let dan, eve, fay, gus, gusTablet, hal;
const opened = (page, who) => page.getByRole("button", { name: new RegExp(`^${id(who)}`) }).click();
const records = (page) => page.getByTestId("call-record").count();
/** Of Fay and Gus: answered elsewhere, declined, cancelled, and that of both at once. */
const RECORDS = 4;

/** Dan calls Eve, who lets it ring on while the other steps play; Fay knows Gus, who has two devices. */
async function enterAll(browser) {
  [dan, eve] = [await enter(browser, "dan"), await enter(browser, "eve", PHONE)];
  await meet(dan, "eve");
  await write(dan, "Do you have a minute?");
  await opened(eve, "dan");
  await videoCall(dan);
  await ringing(eve).waitFor();
  [fay, gus, gusTablet] = [await enter(browser, "fay", WIDE), await enter(browser, "gus", PHONE), await enter(browser, "gus", WIDE)];
  await meet(fay, "gus");
  await write(fay, "Hello");
  for (const page of [gus, gusTablet]) await opened(page, "fay");
  return { rang: true };
}

async function answeredElsewhere() {
  await voiceCall(fay);
  for (const page of [gus, gusTablet]) await ringing(page).waitFor();
  const line = await says(gus, /^Answered/, () => accept(gusTablet));
  await gone(ringing(gus));
  await inCall(fay);
  await shoot(gus, "answered-elsewhere-phone-dark");
  await press(fay, "Hang up");
  await gone(calling(gusTablet));
  return { elsewhere_line: line };
}

async function declinedOnOne() {
  await voiceCall(fay);
  for (const page of [gus, gusTablet]) await ringing(page).waitFor();
  const line = await says(fay, /declined/, () => press(gus, "Decline"));
  await gone(ringing(gusTablet));
  await gone(calling(fay));
  return { declined_line: line };
}

async function cancelled() {
  const before = await records(gus);
  await voiceCall(fay);
  for (const page of [gus, gusTablet]) await ringing(page).waitFor();
  await press(fay, "Hang up");
  for (const page of [gus, gusTablet]) await gone(ringing(page));
  await eventually("the record is there", () => records(gus), (count) => count > before);
  await gone(calling(fay));
  const both = await Promise.all([fay, gus].map(record));
  await gusTablet.context().close();
  return { cancelled_records: both };
}

/** Both StartCalls are held until both are on their way. */
async function glare() {
  const held = [];
  const hold = (route) => held.push(route);
  for (const page of [fay, gus]) await page.route("**/*.CallsService/StartCall", hold);
  for (const page of [fay, gus]) await videoCall(page);
  await eventually("both are calling", async () => held.length, (count) => count === 2);
  await Promise.all(held.map((route) => route.continue()));
  for (const page of [fay, gus]) await page.unroute("**/*.CallsService/StartCall", hold);
  for (const page of [fay, gus]) await inCall(page);
  for (const page of [fay, gus]) await seesAndHears(page, 1);
  return { glare_became_one_call: true };
}

/** Hal calls Gus, who talks to Fay and wants to hear of other calls. */
async function callWaiting(browser) {
  await press(gus, "Make call smaller");
  await press(gus, "Back to conversations");
  await press(gus, "Settings");
  await gus.getByRole("switch", { name: /^Call waiting/ }).click();
  await gus.getByText("You hear of other calls during a call.").waitFor();
  await gus.keyboard.press("Escape");
  hal = await enter(browser, "hal");
  await meet(hal, "gus");
  await voiceCall(hal);
  const line = await gus.getByRole("alert", { name: "Another call" }).locator("span").textContent();
  await shoot(gus, "call-waiting-phone-dark");
  await says(hal, /declined/, () => press(gus, "Decline"));
  await goesOn(gus);
  await gone(calling(hal));
  return { waiting_line: line.replace(id("hal"), "hal") };
}

/** Gus's page dies without a word, and comes back: the call that glare began is still his. */
async function crashAndReturn() {
  const context = gus.context();
  await gus.goto("chrome://crash").catch(() => undefined);
  gus = await context.newPage();
  gus.setDefaultTimeout(PATIENCE_MS);
  gus.on("pageerror", (error) => faults.push(`page error: ${error.message}`));
  await gus.goto(`${url}?user=${id("gus")}`);
  await gus.getByText("You are still in this call").waitFor();
  await shoot(gus, "still-in-call-phone-dark");
  await press(gus, "With video");
  await inCall(gus);
  await seesAndHears(gus, 1);
  await goesOn(fay);
  await press(fay, "Hang up");
  await gone(calling(gus));
  await opened(gus, "fay");
  return { came_back: true };
}

/** What the call that glare began left behind, once it is over. */
async function findItsRecord() {
  const read = () => Promise.all([fay, gus].map(records));
  // The first lines may be there before the last one.
  await eventually("the record is on both sides", read, (counts) => counts.every((count) => count === RECORDS), (counts) => counts.map((count) => upTo(RECORDS, count)));
  return { glare_records: await Promise.all([fay, gus].map(record)) };
}

/** Gus blocks Fay; Hal takes calls of nobody. Fay cannot tell the one from the other, and neither rings. */
async function refused() {
  await press(gus, "Conversation options");
  await gus.getByRole("menuitem", { name: "Block…" }).click();
  await gus.getByRole("alertdialog").getByRole("button", { name: "Block" }).click();
  await gus.getByText("You blocked").first().waitFor();
  await press(hal, "Settings");
  await hal.getByLabel("Who may call me").selectOption({ label: "Nobody" });
  await hal.keyboard.press("Escape");
  const whileBlocked = await refusal();
  await shoot(fay, "blocked-caller-wide-light");
  await gone(calling(fay));
  await meet(fay, "hal");
  await write(fay, "Hello Hal");
  await opened(hal, "fay");
  const byNobody = await refusal();
  const rang = await Promise.all([gus, hal].map((page) => ringing(page).count()));
  return { blocked_line: whileBlocked, nobody_line: byNobody, rang_although_refused: rang };
}

async function refusal() {
  const before = await records(fay);
  // What goes on ends in "…".
  const line = await says(fay, /\.$/, () => voiceCall(fay));
  return { line, records: (await records(fay)) - before };
}

async function missed() {
  const line = await said(dan, /did not answer/);
  await gone(ringing(eve));
  for (const page of [dan, eve]) await eventually("the record is there", () => records(page), (count) => count === 1);
  await gone(calling(dan));
  await shoot(eve, "missed-call-phone-dark");
  return { missed_line: line, missed_records: await Promise.all([dan, eve].map(record)) };
}

await play({
  "all open the page": enterAll,
  "a call is answered on another device": answeredElsewhere,
  "a call is declined on one device": declinedOnOne,
  "the caller hangs up before an answer": cancelled,
  "Fay and Gus call each other at once": glare,
  "Hal calls Gus, who is in a call": callWaiting,
  "Gus's page crashes in the call and comes back": crashAndReturn,
  "both find the record of the call": findItsRecord,
  "Fay's calls are refused, by a block and by a setting": refused,
  "Eve misses the call of Dan": missed,
});
