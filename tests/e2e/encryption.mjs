// Two people call each other, encrypted end to end by default; a second device of one of them is confirmed; a client
// that cannot encrypt (a page of a browser without transforms) comes, and is named before anything is sent in the clear;
// and somebody who has only a new browser makes new keys during the call.
// The camera has its full size, so that all three simulcast layers are sent: the SFU must tell them apart without reading them.
import { received } from "./browsers.mjs";
import { fullCamera } from "./camera.mjs";
import { enter, meet } from "./calling.mjs";
import { faults, play, shoot } from "./play.mjs";
import { eventually, upTo } from "./waiting.mjs";

/** Everything that the pages said to any server. */
const said = [];
/** The frame keys that the pages made or opened, in hex, and private keys as far as script could read them. */
const keys = new Set();
let pages, browser;

/** Before the page's own code: notes each frame key that passes WebCrypto, as no service ever may. */
const noteKeys = () => {
  window.frameKeys = [];
  const { importKey } = crypto.subtle;
  crypto.subtle.importKey = function (format, bytes, how, ...rest) {
    if (how === "HKDF") window.frameKeys.push([...new Uint8Array(bytes)].map((byte) => byte.toString(16).padStart(2, "0")).join(""));
    return importKey.call(this, format, bytes, how, ...rest);
  };
};

/** A browser that cannot encrypt. */
const withoutTransforms = () => delete window.RTCRtpScriptTransform;

async function enterBoth(launched) {
  browser = launched;
  pages = [await listenedTo("gail"), await listenedTo("hugo")];
  await meet(pages[0], "hugo");
  for (const page of pages) await standing(page, "confirmed");
  return {};
}

async function listenedTo(who, init = [noteKeys]) {
  const page = await enter(browser, who, { init });
  page.on("request", (request) => said.push(Buffer.from(request.url()), request.postDataBuffer() ?? Buffer.alloc(0)));
  page.on("websocket", () => faults.push("a websocket, whose words this test does not see"));
  return page;
}

const standing = (page, wanted) => eventually(`the device is ${wanted}`, () => page.evaluate(() => window.parley.client.encryption.view.standing), (now) => now === wanted);
const protection = (page) => page.evaluate(() => window.parley.client.calls.view().encryption);
const protectedBy = (page, wanted) => eventually(`the call is ${wanted}`, () => protection(page), (now) => now === wanted);

/** The first of the two calls the other. */
async function call([caller, callee] = pages) {
  await caller.getByRole("button", { name: /^Video call with/ }).click();
  await callee.getByRole("button", { name: "Accept", exact: true }).click();
}

async function hangUp(in_ = pages) {
  await in_[0].getByRole("button", { name: "Hang up" }).click();
  for (const page of in_) await page.getByRole("dialog").waitFor({ state: "detached" });
}

async function traffic(page) {
  const reports = await page.evaluate(() => window.parley.stats());
  const inbound = (kind, field) => reports.filter((r) => r.type === "inbound-rtp" && r.kind === kind).reduce((sum, r) => sum + (r[field] ?? 0), 0);
  return {
    ...(await received(page)),
    audioPackets: inbound("audio", "packetsReceived"),
    layers: reports.filter((r) => r.type === "outbound-rtp" && r.kind === "video" && r.framesSent > 0).map((r) => r.rid).sort(),
  };
}

/** Enough to say that pictures move. */
const MOVING = 10;

const watch = (what, watched, good, progress) => Promise.all(watched.map((page) => eventually(what, () => traffic(page), good, progress)));
const plays = (now) => now.framesDecoded >= MOVING && now.audioEnergy > 0;
const playsMore = (now) => [upTo(MOVING, now.framesDecoded), now.audioEnergy > 0];

async function byDefault() {
  await call();
  // The largest layer comes only after the SFU found key frames and sizes of all three, and switched between them.
  const both = await watch(
    "the top layer is decoded and heard",
    pages,
    (now) => plays(now) && now.frameWidth >= 1280 && now.layers.length === 3,
    (now) => [...playsMore(now), now.frameWidth, now.layers],
  );
  for (const page of pages) await protectedBy(page, "on");
  const signs = await Promise.all(pages.map((page) => page.getByRole("img", { name: "Encrypted end to end" }).count()));
  await shoot(pages[0], "call-encrypted-wide-light");
  for (const page of pages) for (const key of await page.evaluate(() => window.frameKeys)) keys.add(key);
  await hangUp();
  return { both, signs };
}

async function compare() {
  const numbers = [];
  // In the other's requests nothing stands yet; a call was answered all the same.
  await meet(pages[1], "gail");
  for (const page of pages) {
    await page.getByRole("button", { name: "Conversation options" }).click();
    await page.getByRole("menuitem", { name: "Safety number…" }).click();
    numbers.push((await page.getByTestId("safety-number").textContent()).replaceAll(/\D/g, ""));
    await shoot(page, "safety-number-wide-light");
    await page.keyboard.press("Escape");
    await page.getByTestId("safety-number").waitFor({ state: "detached" });
  }
  return { numbers };
}

async function withAnOldBrowser() {
  const old = await listenedTo("ivan", [withoutTransforms]);
  const gail = pages[0];
  await meet(gail, "ivan");
  await call([gail, old]);
  await protectedBy(gail, "blocked");
  const note = await gail.getByTestId("unencrypted").textContent();
  await eventually("packets would come by now", () => received(gail), plays, playsMore);
  const before = await received(old);
  await shoot(gail, "call-blocked-wide-light");
  await gail.getByRole("button", { name: "Send unencrypted" }).click();
  const after = await eventually("what was allowed comes", () => received(old), plays, playsMore);
  const cleared = await gail.getByTestId("unencrypted").textContent();
  await hangUp([gail, old]);
  return { before, after, note, cleared };
}

async function afterTheLastBrowserWasLost() {
  const gail = pages[0];
  const lost = await enter(browser, "jane");
  await standing(lost, "confirmed");
  await lost.context().close();
  const jane = await listenedTo("jane");
  await standing(jane, "waiting");
  await meet(gail, "jane");
  await call([gail, jane]);
  for (const page of [gail, jane]) await protectedBy(page, "blocked");
  const told = await jane.getByTestId("unencrypted").textContent();
  await shoot(jane, "call-unconfirmed-wide-light");
  await jane.getByRole("button", { name: "Start anew" }).click();
  for (const page of [gail, jane]) await protectedBy(page, "on");
  const anew = await watch("both are seen and heard", [gail, jane], plays, playsMore);
  await hangUp([gail, jane]);
  return { told, anew };
}

async function searchWhatWasSaid() {
  const secrets = [...keys].flatMap((key) => [Buffer.from(key, "hex"), key, Buffer.from(key, "hex").toString("base64")]);
  return {
    keys: [...keys],
    requests: said.length / 2,
    requests_with_a_secret: said.filter((bytes) => secrets.some((secret) => bytes.includes(secret))).length,
  };
}

await play({
  "both open the page": enterBoth,
  "a call is encrypted by default": byDefault,
  "both compare the safety number": compare,
  "somebody calls whose browser cannot encrypt": withAnOldBrowser,
  "somebody calls whose browsers are gone, and starts anew": afterTheLastBrowserWasLost,
  "what the pages sent is searched for secrets": searchWhatWasSaid,
}, { camera: fullCamera });
