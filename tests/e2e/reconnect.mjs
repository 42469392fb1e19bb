// Two people in a call whose media worker dies.
// Usage: node reconnect.mjs <web address> <chromium> <folder for screenshots>
// Prints "in call" once both see each other; then the worker is to be killed. Ends with one JSON object of facts.
import { connectionOf, eventually, launch, person, received } from "./browsers.mjs";

const [url, executablePath, folder] = process.argv.slice(2);
const faults = [];
const name = (who) => `${who}-${Date.now().toString(36)}`;
const status = (page) => page.getByTestId("call-status").textContent();

async function startCall(browser) {
  const [erin, frank] = [name("erin"), name("frank")];
  const caller = await person(browser, `${url}?user=${erin}`, {}, faults);
  const callee = await person(browser, `${url}?user=${frank}`, {}, faults);
  await callee.getByRole("button", { name: "New conversation" }).waitFor();
  await caller.getByRole("button", { name: "New conversation" }).click();
  await caller.getByLabel("Message someone").fill(frank);
  await caller.keyboard.press("Enter");
  await caller.getByRole("button", { name: /^Video call with/ }).click();
  await callee.getByRole("button", { name: "Accept", exact: true }).click();
  return [caller, callee];
}

const browser = await launch(executablePath);
const facts = {};
try {
  const pages = await startCall(browser);
  for (const page of pages) await eventually("frames come", () => received(page), (r) => r.framesDecoded > 5);
  const before = await Promise.all(pages.map(connectionOf));
  console.log("in call");
  // The page says "Reconnecting…" only when the call has not gone over to another worker before the loss is noticed.
  facts.after = await Promise.all(
    pages.map((page, i) =>
      eventually(
        "frames and sound come by another connection",
        async () => ({ ...(await received(page)), connection: await connectionOf(page) }),
        (now) => now.connection && now.connection !== before[i] && now.framesDecoded > 5 && now.audioEnergy > 0,
      ),
    ),
  );
  await Promise.all(pages.map((page) => eventually("the clock is shown", () => status(page), (text) => /^\d+:\d\d$/.test(text ?? ""))));
  await pages[0].screenshot({ path: `${folder}/after-reconnect-wide-light.png` });
  await pages[0].getByRole("button", { name: "Hang up" }).click();
  await pages[1].getByRole("dialog").waitFor({ state: "detached" });
} catch (error) {
  facts.failure = error.message;
} finally {
  await browser.close();
}
console.log(JSON.stringify(facts));
