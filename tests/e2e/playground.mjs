// Somebody who tries the API on the page /playground: signs in, asks, sees the answer, and the events beside it.
import { id } from "./calling.mjs";
import { open, play, shoot, url } from "./play.mjs";
import { eventually } from "./waiting.mjs";

let page;
const status = () => page.locator("#status").textContent();
const events = () => page.getByRole("log", { name: "Events" });
const button = (name) => page.getByRole("button", { name, exact: true });
const request = () => page.getByLabel(/^Request as JSON/);
const curl = () => page.locator("#curl").textContent();

async function choose(operation) {
  await page.getByLabel("Operation").selectOption(operation);
}

async function send() {
  await button("Send").click();
  return eventually("there is an answer", status, (said) => /^\d/.test(said));
}

async function signIn(browser) {
  page = await open(browser, new URL("/playground", url).href, { viewport: { width: 1300, height: 900 } });
  await page.getByLabel("User").fill(id("alice"));
  await button("Sign in").click();
  await page.getByText(`Signed in as ${id("alice")}.`).waitFor();
  await events().locator("li", { hasText: "ready" }).waitFor();
}

/** The second request names the conversation that the first has made. */
async function ask() {
  await choose("CreateDirectConversation");
  await request().fill(JSON.stringify({ peerUserId: id("bob") }));
  const opened = await send();
  await choose("SendMessage");
  const prepared = JSON.parse(await request().inputValue());
  const sent = await send();
  await events().locator("li", { hasText: "Hello from the playground" }).waitFor();
  await shoot(page, "playground-wide-light");
  const { message } = JSON.parse(await page.locator("#answer").textContent());
  return { opened, sent, prepared: Object.keys(prepared), seq: message.seq, curl: await curl() };
}

async function slip() {
  await request().fill('{"conversationId": "x", "txt": 1}');
  const problem = await page.locator("#problem").textContent();
  return { problem, can_send: await button("Send").isEnabled(), curl_of_a_slip: await curl() };
}

async function stop() {
  await button("Stop").click();
  await button("Follow").click();
  await page.getByText("Following.", { exact: true }).waitFor();
  const resumed = await eventually(
    "the stream goes on",
    () => events().locator("li", { hasText: "ready" }).first().textContent(),
    (text) => text.includes("resumed"),
  );
  return { resumed: resumed.includes("true") };
}

/** On a narrow screen nothing stands beside it. */
async function narrow() {
  await page.setViewportSize({ width: 320, height: 700 });
  return { overflow: await page.evaluate(() => document.documentElement.scrollWidth - innerWidth) };
}

await play({
  "she signs in": signIn,
  "she opens a conversation and writes": ask,
  "she mistypes": slip,
  "she stops the stream and goes on": stop,
  "she looks at it on a phone": narrow,
});
