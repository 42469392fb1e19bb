// Somebody who follows docs/start/react.md: two people in the app that it makes, which another server serves than Parley's.
import { id } from "./calling.mjs";
import { open, play, shoot, url } from "./play.mjs";
import { eventually, upTo } from "./waiting.mjs";

let alice, bob;
const button = (page, name) => page.getByRole("button", { name });
const thread = (page) => page.getByRole("region", { name: /^Messages with/ });
const says = (page, text) => eventually(`the thread says ${text}`, () => thread(page).textContent(), (all) => all.includes(text));

async function write(page, text) {
  await page.getByRole("textbox", { name: /^Message to/ }).fill(text);
  await page.keyboard.press("Enter");
}

async function openBoth(browser) {
  alice = await open(browser, `${url}#${id("alice")}/${id("bob")}`);
  bob = await open(browser, `${url}#${id("bob")}/${id("alice")}`);
  for (const page of [alice, bob]) await button(page, /^Video call/).waitFor();
}

async function message() {
  await write(alice, "Hello from React");
  await says(bob, "Hello from React");
  await write(bob, "And back");
  await says(alice, "And back");
  await says(alice, "Read");
  return { message: true };
}

/** More than a screen: what one reads stays where it is while messages come, and the list is as short as before. */
async function longTalk() {
  for (let i = 1; i <= 25; i++) await write(bob, `Line ${i} of many`);
  await says(alice, "Line 25 of many");
  const list = thread(alice);
  await list.evaluate((box) => (box.scrollTop = 0));
  await button(alice, "To the newest messages").waitFor();
  const place = () => alice.getByText("Hello from React").evaluate((row) => Math.round(row.getBoundingClientRect().top));
  const before = await place();
  await write(bob, "One more");
  await eventually("Alice's device has the newest", () => alice.getByRole("option").first().textContent(), (row) => row.includes("One more"));
  const after = await place();
  await shoot(alice, "react-thread");
  await button(alice, "To the newest messages").click();
  await says(alice, "One more");
  return { place: [before, after] };
}

async function call() {
  await button(alice, /^Video call/).click();
  await button(bob, "Answer with video").click();
  for (const page of [alice, bob]) {
    const frames = () => page.locator(".parley-tile:not(.parley-tile-own) video").evaluateAll((videos) => videos[0]?.getVideoPlaybackQuality().totalVideoFrames ?? 0);
    await eventually("pictures move", frames, (count) => count >= 10, (count) => upTo(10, count));
  }
  await shoot(alice, "react-call");
  await button(bob, "Hang up").click();
  await alice.getByText("Call ended").waitFor();
  return { call: true };
}

await play({
  "both open the app": openBoth,
  "they write to each other": message,
  "one reads what was before": longTalk,
  "they call each other": call,
});
