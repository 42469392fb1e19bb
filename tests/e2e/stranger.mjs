// Somebody who follows docs/start/web.md: two people in the page that it makes, which another server serves than Parley's.
import { id } from "./calling.mjs";
import { cue, open, play, shoot, url } from "./play.mjs";
import { eventually, upTo } from "./waiting.mjs";

let alice, bob;
const said = (page) => page.locator("#messages").textContent();
const button = (page, name) => page.getByRole("button", { name, exact: true });
const says = (page, text) => eventually(`the page says ${text}`, () => said(page), (all) => all.includes(text));

async function write(page, text) {
  await page.getByPlaceholder("Message").fill(text);
  await button(page, "Send").click();
}

async function openBoth(browser) {
  alice = await open(browser, `${url}#${id("alice")}/${id("bob")}`);
  bob = await open(browser, `${url}#${id("bob")}/${id("alice")}`);
  for (const page of [alice, bob]) await button(page, "Call").waitFor();
  return { people: [id("alice"), id("bob")] };
}

async function message() {
  await write(alice, "Hello from fifteen lines");
  await says(bob, `${id("alice")}: Hello from fifteen lines`);
  await write(bob, "And back");
  await says(alice, `${id("bob")}: And back`);
  return { message: true };
}

async function call() {
  await button(alice, "Call").click();
  await button(bob, "Answer").click();
  for (const page of [alice, bob]) {
    await eventually("pictures move", () => frames(page), (count) => count >= 10, (count) => upTo(10, count));
  }
  await shoot(alice, "stranger-call");
  await button(bob, "Hang up").click();
  await button(alice, "Call").waitFor();
  return { call: true };
}

/** What the page's own player has shown. */
const frames = (page) => page.locator("video").evaluate((video) => video.getVideoPlaybackQuality().totalVideoFrames);

async function curl() {
  await cue(`${id("alice")} ${id("bob")}`);
  await says(bob, "Hello from curl");
  return { curl: true };
}

/** Without Parley, and its page as it was loaded: what was said is there. */
async function withoutNetwork() {
  await bob.context().route((address) => address.host !== new URL(url).host, (route) => route.abort("internetdisconnected"));
  await bob.reload();
  await says(bob, `${id("alice")}: Hello from fifteen lines`);
  await write(bob, "Later");
  await says(bob, "… Later");
  await bob.context().unrouteAll();
  await says(alice, `${id("bob")}: Later`);
  return { offline: true };
}

await play({
  "both open the page": openBoth,
  "they write to each other": message,
  "they call each other": call,
  "curl writes, too": curl,
  "one goes on without a network": withoutNetwork,
});
