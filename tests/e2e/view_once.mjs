// A picture that its recipient opens once: chosen and switched by one, opened over the window by the other.
import { open, play, shoot, url } from "./play.mjs";
import { eventually } from "./waiting.mjs";

let alice, bob;
const WIDE = { viewport: { width: 1200, height: 780 }, colorScheme: "light" };
const PHONE = { viewport: { width: 390, height: 800 }, colorScheme: "dark", hasTouch: true };

const log = (page) => page.getByRole("log");

async function openBoth(browser) {
  [alice, bob] = [await open(browser, `${url}?user=alice`, WIDE), await open(browser, `${url}?user=bob`, PHONE)];
}

async function send() {
  const id = await alice.evaluate(() => window.parley.client.messaging.openDirect("bob"));
  await alice.evaluate((conversationId) => window.parley.client.messaging.send(conversationId, "Hello"), id);
  await alice.getByRole("button", { name: /^Bob Berger/ }).first().click();
  const picture = await alice.screenshot({ clip: { x: 0, y: 0, width: 300, height: 200 } });
  await alice.getByTestId("files").setInputFiles({ name: "secret.png", mimeType: "image/png", buffer: picture });
  await alice.getByRole("button", { name: "Remove secret.png" }).waitFor();
  await alice.getByRole("switch", { name: "View once" }).check();
  const field = alice.getByRole("textbox", { name: /^Message/ });
  await field.fill("words");
  const withText = await alice.getByRole("button", { name: "Send", exact: true }).isDisabled();
  await field.fill("");
  await shoot(alice, "view-once-composer-wide-light");
  await alice.getByRole("button", { name: "Send", exact: true }).click();
  await log(alice).getByText("Not opened yet").last().waitFor();
  return { refused_with_a_text: withText };
}

async function look() {
  await bob.getByRole("button", { name: /^Alice Adler/ }).first().click();
  const once = log(bob).getByRole("button", { name: "Photo, view once" }).last();
  await once.waitFor();
  const before = await log(bob).locator(".bubble img").count();
  await once.click();
  const picture = bob.getByRole("dialog", { name: "Photo, view once" }).getByRole("img");
  await eventually("it is loaded", () => picture.evaluate((image) => image.naturalWidth), (width) => width > 0);
  await shoot(bob, "view-once-phone-dark");
  const saves = await bob.getByRole("dialog").getByRole("button", { name: "Download" }).count();
  await bob.getByRole("dialog").getByRole("button", { name: "Close" }).click();
  await log(bob).getByText("Opened").last().waitFor();
  await log(alice).getByText("Opened by Bob Berger").last().waitFor();
  return { pictures_before: before, save_buttons: saves, openable_after: await log(bob).getByRole("button", { name: "Photo, view once" }).count() };
}

/** With the browser's own test tone. */
async function speak() {
  await alice.getByRole("button", { name: "Record a voice message" }).click();
  const dialog = alice.getByRole("dialog", { name: "Voice message" });
  await dialog.getByText("Recording", { exact: true }).waitFor();
  await dialog.getByRole("timer").getByText("0:01").waitFor();
  await dialog.getByRole("button", { name: "Stop" }).click();
  await dialog.getByRole("switch", { name: "Can be heard once" }).check();
  await shoot(alice, "voice-window-wide-light");
  await dialog.getByRole("button", { name: "Send" }).click();
  await dialog.waitFor({ state: "detached" });
  await log(alice).getByText("Voice message, view once").last().waitFor();
}

async function hear() {
  await log(bob).getByRole("button", { name: "Voice message, view once" }).last().click();
  const sound = bob.getByRole("dialog", { name: "Voice message, view once" }).locator("audio");
  await eventually("it is heard", () => sound.evaluate(({ currentTime }) => currentTime), (time) => time > 0);
  await bob.getByRole("dialog").getByRole("button", { name: "Close" }).click();
  await eventually("it cannot be opened again", () => log(bob).getByRole("button", { name: "Voice message, view once" }).count(), (count) => count === 0);
  return { voices_openable_after: await log(bob).getByRole("button", { name: "Voice message, view once" }).count() };
}

await play({
  "both open the page": openBoth,
  "one sends a picture to be viewed once": send,
  "the other opens it": look,
  "one records a voice message to be heard once": speak,
  "the other hears it": hear,
});
