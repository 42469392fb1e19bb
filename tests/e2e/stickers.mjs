// A sticker in a direct conversation: loaded from its provider, which is played here, or told in words.
import { enter, id } from "./calling.mjs";
import { play, shoot } from "./play.mjs";
import { eventually } from "./waiting.mjs";

let alice, bob;
const STICKER = { url: "https://stickers.example/wave.svg", width: 480, height: 270, description: "A cat waves" };
const PICTURE = '<svg xmlns="http://www.w3.org/2000/svg" width="480" height="270"><rect width="480" height="270" fill="teal"/></svg>';
const WIDE = { viewport: { width: 1200, height: 780 }, colorScheme: "light" };
const PHONE = { viewport: { width: 390, height: 800 }, colorScheme: "dark", hasTouch: true };

const log = (page) => page.getByRole("log");
const picture = (page) => log(page).getByRole("img", { name: STICKER.description });
/** What the provider is told beside the address. */
const told = [];

async function openBoth(browser) {
  [alice, bob] = [await enter(browser, "alice", WIDE), await enter(browser, "bob", PHONE)];
  await alice.context().route("https://stickers.example/**", (route) => route.fulfill({ contentType: "image/svg+xml", body: PICTURE }));
  await bob.context().route("https://stickers.example/**", async (route) => {
    const { cookie, origin, referer } = await route.request().allHeaders();
    told.push({ cookie, origin, referer });
    await route.fulfill({ contentType: "image/svg+xml", body: PICTURE });
  });
}

async function send() {
  await alice.evaluate(
    async ([bobId, sticker]) => {
      const { messaging } = window.parley.client;
      const conversationId = await messaging.openDirect(bobId);
      await messaging.sendSticker(conversationId, sticker);
    },
    [id("bob"), STICKER],
  );
  await bob.getByRole("button", { name: new RegExp(`^${id("alice")}`) }).first().click();
  await picture(bob).last().waitFor();
  await eventually("it is loaded", () => picture(bob).last().evaluate((image) => image.naturalWidth), (width) => width === 480);
  const { width, height } = await picture(bob).last().boundingBox();
  await shoot(bob, "sticker-phone-dark");
  return { told, shown: { width, height }, in_the_list: await alice.getByText("Sticker · A cat waves").count() };
}

/** One of the page's own, found by its words and by the keys, and answered with. */
async function choose() {
  const asked = told.length;
  await alice.getByRole("button", { name: new RegExp(`^${id("bob")}`) }).first().click();
  await alice.getByRole("button", { name: "Stickers" }).click();
  const dialog = alice.getByRole("dialog", { name: "Stickers" });
  await dialog.getByText("12 found").waitFor();
  await shoot(alice, "sticker-window-wide-light");
  await dialog.getByRole("searchbox", { name: "Search stickers" }).fill("good");
  await dialog.getByText("3 found").waitFor();
  await alice.keyboard.press("Tab");
  await alice.keyboard.press("ArrowRight");
  await alice.keyboard.press("Enter");
  await dialog.waitFor({ state: "detached" });
  const shown = log(bob).getByRole("img", { name: "A face sleeps, good night" });
  await shown.waitFor();
  await eventually("it is loaded", () => shown.evaluate((image) => image.naturalWidth), (width) => width === 240);
  const from = await shown.evaluate((image) => new URL(image.currentSrc).pathname);
  return { own_from: from, asked_of_the_provider: told.length - asked, own_in_focus: await alice.evaluate(() => document.activeElement?.getAttribute("aria-label")) };
}

/** The provider has lost it. */
async function lose() {
  await bob.context().unroute("https://stickers.example/**");
  let asked = 0;
  await bob.context().route("https://stickers.example/**", (route) => {
    asked++;
    return route.fulfill({ contentType: "text/plain", body: "gone" });
  });
  await bob.reload();
  // Until the allowed hosts are known it is told in words, too.
  await eventually("it is asked for", async () => asked, (times) => times > 0);
  await eventually("there is no picture", () => picture(bob).count(), (count) => count === 0);
  await log(bob).getByText("Sticker · A cat waves").last().waitFor();
  return { pictures: await picture(bob).count() };
}

await play({
  "both open the page": openBoth,
  "one sends a sticker": send,
  "one chooses a sticker of the page": choose,
  "the provider does not have it any more": lose,
});
