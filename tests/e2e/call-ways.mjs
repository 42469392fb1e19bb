// The ways that a call of two can go, with several devices: missed, answered elsewhere, declined, cancelled, refused,
// placed by both at once, waiting during another one, and come back to after a crash.
// Usage: node call-ways.mjs <web address> <chromium> <folder for screenshots>
import { eventually } from "./browsers.mjs";
import { accept, calling, goesOn, gone, id, inCall, meet, play, press, record, ringing, seesAndHears, stage, status, videoCall, voiceCall, write } from "./calling.mjs";

const [url, executablePath, folder] = process.argv.slice(2);
const PHONE = { viewport: { width: 390, height: 800 }, colorScheme: "dark", hasTouch: true };
const WIDE = { viewport: { width: 1200, height: 780 }, colorScheme: "light" };

let dan, eve, fay, gusPhone, gusTablet, hal;
let unanswered;
const shoot = (page, name) => page.screenshot({ path: `${folder}/${name}.png` });
const opened = (page, who) => page.getByRole("button", { name: new RegExp(`^${id(who)}`) }).click();
const records = (page) => page.getByTestId("call-record").count();

/** Everybody comes, and knows whom they will call. Dan's call to Eve rings on while the other acts play. */
async function enterAll(browser, facts) {
  const enter = stage(browser, url, facts.faults);
  [dan, eve, fay, gusPhone, gusTablet, hal] = await Promise.all([enter("dan"), enter("eve", PHONE), enter("fay", WIDE), enter("gus", PHONE), enter("gus", WIDE), enter("hal")]);
  await meet(dan, "eve");
  await write(dan, "Do you have a minute?");
  await opened(eve, "dan");
  await meet(fay, "gus");
  await write(fay, "Hello");
  for (const page of [gusPhone, gusTablet]) await opened(page, "fay");
  await videoCall(dan);
  await ringing(eve).waitFor();
  unanswered = eventually("the caller reads that nobody answered", () => status(dan).catch(() => ""), (line) => line?.includes("did not answer") ?? false);
  // It is awaited later; until then its failure is no one's.
  unanswered.catch(() => undefined);
  return { rang: true };
}

async function answeredElsewhere() {
  await voiceCall(fay);
  for (const page of [gusPhone, gusTablet]) await ringing(page).waitFor();
  await accept(gusTablet);
  await gone(ringing(gusPhone));
  const line = await gusPhone.getByRole("status").getByText("Answered on another device").textContent();
  await inCall(fay);
  await shoot(gusPhone, "answered-elsewhere-phone-dark");
  await press(fay, "Hang up");
  await gone(calling(gusTablet));
  return { elsewhere_line: line };
}

async function declinedOnOne() {
  await voiceCall(fay);
  for (const page of [gusPhone, gusTablet]) await ringing(page).waitFor();
  await press(gusPhone, "Decline");
  await gone(ringing(gusTablet));
  const line = await eventually("the caller is told", () => status(fay).catch(() => ""), (text) => text?.includes("declined") ?? false);
  await gone(calling(fay));
  return { declined_line: line };
}

async function cancelled() {
  const before = await records(gusPhone);
  await voiceCall(fay);
  for (const page of [gusPhone, gusTablet]) await ringing(page).waitFor();
  await press(fay, "Hang up");
  for (const page of [gusPhone, gusTablet]) await gone(ringing(page));
  await eventually("the record is there", () => records(gusPhone), (count) => count > before);
  await gone(calling(fay));
  return { cancelled_records: await Promise.all([fay, gusPhone].map(record)) };
}

/** Gus blocks Fay; Hal takes calls of nobody. Fay cannot tell the one from the other, and neither rings. */
async function refused() {
  await press(gusPhone, "Conversation options");
  await gusPhone.getByRole("menuitem", { name: "Block…" }).click();
  await gusPhone.getByRole("alertdialog").getByRole("button", { name: "Block" }).click();
  await gusPhone.getByText("You blocked").first().waitFor();
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
  const rang = await Promise.all([gusPhone, gusTablet, hal].map((page) => ringing(page).count()));
  return { blocked_line: whileBlocked, nobody_line: byNobody, rang_although_refused: rang };
}

async function refusal() {
  const before = await records(fay);
  await voiceCall(fay);
  const line = await eventually("it ends", () => status(fay).catch(() => ""), (text) => Boolean(text) && !text.endsWith("…"));
  return { line, records: (await records(fay)) - before, title: await calling(fay).getByRole("heading").textContent().then((text) => text.replace(/-.*/, "")) };
}

async function missed() {
  const line = await unanswered;
  await gone(ringing(eve));
  for (const page of [dan, eve]) await eventually("the record is there", () => records(page), (count) => count === 1);
  await gone(calling(dan));
  await shoot(eve, "missed-call-phone-dark");
  return { missed_line: line, missed_records: await Promise.all([dan, eve].map(record)) };
}

/** Both StartCalls are held until both are on their way. */
async function glare() {
  const held = [];
  const hold = (route) => held.push(route);
  for (const page of [dan, eve]) await page.route("**/*.CallsService/StartCall", hold);
  for (const page of [dan, eve]) await videoCall(page);
  await eventually("both are calling", async () => held.length, (count) => count === 2);
  await Promise.all(held.map((route) => route.continue()));
  for (const page of [dan, eve]) await page.unroute("**/*.CallsService/StartCall", hold);
  for (const page of [dan, eve]) await inCall(page);
  for (const page of [dan, eve]) await seesAndHears(page, 1);
  return { glare_became_one_call: true };
}

/** Fay calls Eve, who talks to Dan and wants to hear of other calls. */
async function callWaiting() {
  await press(eve, "Make call smaller");
  await press(eve, "Back to conversations");
  await press(eve, "Settings");
  await eve.getByRole("switch", { name: /^Call waiting/ }).click();
  await eve.getByText("You hear of other calls during a call.").waitFor();
  await eve.keyboard.press("Escape");
  await meet(fay, "eve");
  await voiceCall(fay);
  const line = await eve.getByRole("alert", { name: "Another call" }).locator("span").textContent();
  await shoot(eve, "call-waiting-phone-dark");
  await press(eve, "Decline");
  await eventually("the caller is told", () => status(fay).catch(() => ""), (text) => text?.includes("declined") ?? false);
  await goesOn(eve);
  return { waiting_line: line.replace(id("fay"), "fay") };
}

/** Eve's page dies without a word, and comes back: the call that glare began is still hers. */
async function crashAndReturn(browser, facts) {
  const context = eve.context();
  await eve.goto("chrome://crash").catch(() => undefined);
  eve = await context.newPage();
  eve.on("pageerror", (error) => facts.faults.push(`page error: ${error.message}`));
  await eve.goto(`${url}?user=${id("eve")}`);
  await eve.getByText("You are still in this call").waitFor();
  await shoot(eve, "still-in-call-phone-dark");
  await press(eve, "With video");
  await inCall(eve);
  await seesAndHears(eve, 1);
  await goesOn(dan);
  await press(dan, "Hang up");
  await gone(calling(eve));
  await opened(eve, "dan");
  await eventually("there are two records", () => records(dan), (count) => count === 2);
  return { came_back: true, glare_records: await records(eve) };
}

await play(executablePath, [], [enterAll, answeredElsewhere, declinedOnOne, cancelled, refused, missed, glare, callWaiting, crashAndReturn]);
