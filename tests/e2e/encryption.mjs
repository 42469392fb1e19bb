// Two people call each other with end-to-end encryption: with one passphrase, with two different ones, and with one again.
// The camera has its full size, so that all three simulcast layers are sent: the SFU must tell them apart without reading them.
import { pbkdf2Sync } from "node:crypto";
import { received } from "./browsers.mjs";
import { fullCamera } from "./camera.mjs";
import { enter, meet } from "./calling.mjs";
import { faults, play, shoot } from "./play.mjs";
import { eventually, upTo } from "./waiting.mjs";

const PASSPHRASE = `correct horse ${Date.now().toString(36)} battery`;
/** Everything that the pages said to any server. */
const said = [];
let pages, callId;

async function enterBoth(browser) {
  pages = [await listenedTo(browser, "gail"), await listenedTo(browser, "hugo")];
  await meet(pages[0], "hugo");
  for (const page of pages) await encryptWith(page, PASSPHRASE);
  return { passphrase: PASSPHRASE };
}

async function listenedTo(browser, who) {
  const page = await enter(browser, who);
  page.on("request", (request) => said.push(Buffer.from(request.url()), request.postDataBuffer() ?? Buffer.alloc(0)));
  page.on("websocket", () => faults.push("a websocket, whose words this test does not see"));
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
  await shoot(page, "call-passphrase-wide-light");
  await page.keyboard.press("Escape");
  await off.waitFor({ state: "detached" });
}

/** The first of the two calls the other. Returns the call's id. */
async function call() {
  await pages[0].getByRole("button", { name: /^Video call with/ }).click();
  await pages[1].getByRole("button", { name: "Accept", exact: true }).click();
  return eventually("the call has an id", () => pages[0].evaluate(() => window.parley.client.calls.view().call?.id), Boolean);
}

async function hangUp() {
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

/** Enough to say that pictures move, and that packets come. */
const MOVING = 10;
const PACKETS = 50;

const watch = (what, good, progress) => Promise.all(pages.map((page) => eventually(what, () => traffic(page), good, progress)));
const plays = (now) => now.framesDecoded >= MOVING && now.audioEnergy > 0;
const playsMore = (now) => [upTo(MOVING, now.framesDecoded), now.audioEnergy > 0];

async function samePassphrase() {
  callId = await call();
  // The largest layer comes only after the SFU found key frames and sizes of all three, and switched between them.
  const same = await watch(
    "the top layer is decoded and heard",
    (now) => plays(now) && now.frameWidth >= 1280 && now.layers.length === 3,
    (now) => [...playsMore(now), now.frameWidth, now.layers],
  );
  const signs = await Promise.all(pages.map((page) => page.getByRole("img", { name: "Encrypted end to end" }).count()));
  await hangUp();
  return { same, signs };
}

async function differentPassphrases() {
  await encryptWith(pages[1], "something else altogether");
  await call();
  const different = await watch(
    "packets come",
    (now) => now.audioPackets >= PACKETS && now.videoPackets >= PACKETS,
    (now) => [upTo(PACKETS, now.audioPackets), upTo(PACKETS, now.videoPackets)],
  );
  const notes = await Promise.all(pages.map((page) => page.getByTestId("unreadable").textContent()));
  await shoot(pages[1], "call-unreadable-wide-light");
  await hangUp();
  return { different, notes };
}

async function samePassphraseAgain() {
  await encryptWith(pages[1], PASSPHRASE);
  await call();
  const again = await watch("pictures and sound are back", plays, playsMore);
  await hangUp();
  return { again };
}

async function searchWhatWasSaid() {
  const key = pbkdf2Sync(PASSPHRASE, `parley call ${callId}`, 600_000, 32, "sha256");
  const secrets = [PASSPHRASE, encodeURIComponent(PASSPHRASE), key, key.toString("hex"), key.toString("base64")];
  return {
    call_key: key.toString("hex"),
    requests: said.length / 2,
    requests_with_a_secret: said.filter((bytes) => secrets.some((secret) => bytes.includes(secret))).length,
  };
}

await play({
  "both open the page": enterBoth,
  "both have the same passphrase": samePassphrase,
  "each has another passphrase": differentPassphrases,
  "both have the same passphrase again": samePassphraseAgain,
  "what the pages sent is searched for secrets": searchWhatWasSaid,
}, { camera: fullCamera });
