// Two people call each other with end-to-end encryption: with one passphrase, with two different ones, and with one again.
// Usage: node encryption.mjs <web address> <chromium> <folder for screenshots>
// Prints one JSON object: the facts that were seen, by name; `failure` when a step stopped it.
import { pbkdf2Sync } from "node:crypto";
import { eventually, launch, person, received } from "./browsers.mjs";

const [url, executablePath, folder] = process.argv.slice(2);
const PASSPHRASE = `correct horse ${Date.now().toString(36)} battery`;
const facts = { faults: [], passphrase: PASSPHRASE };
const name = (who) => `${who}-${Date.now().toString(36)}`;
/** Everything that the pages said to any server. */
const said = [];

async function open(browser, who) {
  const page = await person(browser, `${url}?user=${who}`, {}, facts.faults);
  page.on("request", (request) => said.push(Buffer.from(request.url()), request.postDataBuffer() ?? Buffer.alloc(0)));
  page.on("websocket", () => facts.faults.push("a websocket, whose words this test does not see"));
  await page.getByRole("button", { name: "New conversation" }).waitFor();
  return page;
}

async function encryptWith(page, passphrase) {
  await page.getByRole("button", { name: "Settings" }).click();
  const off = page.getByRole("button", { name: "Turn off", exact: true });
  const field = page.getByLabel("Call passphrase");
  // The dialog is there before what it asks the server for.
  await field.waitFor();
  if (await off.count()) await off.click();
  await field.fill(passphrase);
  await page.getByRole("button", { name: "Encrypt calls" }).click();
  await off.waitFor();
  await page.screenshot({ path: `${folder}/call-passphrase-wide-light.png` });
  await page.keyboard.press("Escape");
  await off.waitFor({ state: "detached" });
}

async function call(caller, callee) {
  await caller.getByRole("button", { name: /^Video call with/ }).click();
  await callee.getByRole("button", { name: "Accept", exact: true }).click();
  return eventually("the call has an id", () => caller.evaluate(() => window.parley.client.calls.view().call?.id), Boolean);
}

async function hangUp(pages) {
  await pages[0].getByRole("button", { name: "Hang up" }).click();
  for (const page of pages) await page.getByRole("dialog").waitFor({ state: "detached" });
}

async function traffic(page) {
  const reports = await page.evaluate(() => window.parley.stats());
  const inbound = (kind, field) => reports.filter((r) => r.type === "inbound-rtp" && r.kind === kind).reduce((sum, r) => sum + (r[field] ?? 0), 0);
  return {
    ...(await received(page)),
    audioPackets: inbound("audio", "packetsReceived"),
    videoPackets: inbound("video", "packetsReceived"),
    keyFramesAsked: inbound("video", "pliCount"),
    layers: reports.filter((r) => r.type === "outbound-rtp" && r.kind === "video" && r.framesSent > 0).map((r) => r.rid).sort(),
  };
}

const watch = (pages, what, good) => Promise.all(pages.map((page) => eventually(what, () => traffic(page), good)));
const plays = (now) => now.framesDecoded > 30 && now.audioEnergy > 0;

const browser = await launch(executablePath);
try {
  const [gail, hugo] = [name("gail"), name("hugo")];
  const pages = [await open(browser, gail), await open(browser, hugo)];
  await pages[0].getByRole("button", { name: "New conversation" }).click();
  await pages[0].getByLabel("Message someone").fill(hugo);
  await pages[0].keyboard.press("Enter");
  for (const page of pages) await encryptWith(page, PASSPHRASE);
  const callId = await call(...pages);
  // The largest layer comes only after the SFU found key frames and sizes of all three, and switched between them.
  facts.same = await watch(pages, "the top layer is decoded and heard", (now) => plays(now) && now.frameWidth >= 1280 && now.layers.length === 3);
  facts.signs = await Promise.all(pages.map((page) => page.getByRole("img", { name: "Encrypted end to end" }).count()));
  await hangUp(pages);
  await encryptWith(pages[1], "something else altogether");
  await call(...pages);
  facts.different = await watch(pages, "packets come", (now) => now.audioPackets > 150 && now.videoPackets > 150);
  facts.notes = await Promise.all(pages.map((page) => page.getByTestId("unreadable").textContent()));
  await pages[1].screenshot({ path: `${folder}/call-unreadable-wide-light.png` });
  await hangUp(pages);
  await encryptWith(pages[1], PASSPHRASE);
  await call(...pages);
  facts.again = await watch(pages, "pictures and sound are back", plays);
  await hangUp(pages);
  const key = pbkdf2Sync(PASSPHRASE, `parley call ${callId}`, 600_000, 32, "sha256");
  facts.call_key = key.toString("hex");
  const secrets = [PASSPHRASE, encodeURIComponent(PASSPHRASE), key, key.toString("hex"), key.toString("base64")];
  facts.requests = said.length / 2;
  facts.requests_with_a_secret = said.filter((bytes) => secrets.some((secret) => bytes.includes(secret))).length;
} catch (error) {
  facts.failure = error.message;
} finally {
  await browser.close();
}
console.log(JSON.stringify(facts));
