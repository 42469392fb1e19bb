// What the scenarios of calls share: people of one run, who talk to each other, and what their pages show of a call.
import { connectionOf, received } from "./browsers.mjs";
import { open, url } from "./play.mjs";
import { eventually, upTo } from "./waiting.mjs";

const run = Date.now().toString(36);

/** A user id of this run's own. */
export const id = (who) => `${who}-${run}`;

/** The first page of each. */
const firstPages = new Map();

/** Opens the page of somebody of this run. One after the first is confirmed by that, as a device of the same person. */
export async function enter(browser, who, options = {}) {
  const page = await open(browser, `${url}?user=${id(who)}`, options);
  await page.getByRole("button", { name: "New conversation" }).waitFor();
  const first = firstPages.get(who);
  firstPages.set(who, first ?? page);
  if (first && (await isOpen(first))) await confirm(first, page);
  return page;
}

/** Whether somebody's page is there: not closed, nor gone to another one. */
const isOpen = async (page) => !page.isClosed() && (await page.evaluate(() => window.parley !== undefined));

async function confirm(first, page) {
  const standing = () => page.evaluate(() => window.parley.client.encryption.view.standing);
  await eventually("the device waits to be confirmed", standing, (now) => now === "waiting");
  const deviceId = await page.evaluate(() => window.parley.client.encryption.ownId);
  const waiting = () => first.evaluate(() => window.parley.client.encryption.view.waitingDevices);
  await eventually("the first device is told", waiting, (ids) => ids.includes(deviceId));
  await first.evaluate(async (id) => (await window.parley.client.encryption.keys()).confirmDevice(id), deviceId);
  await eventually("the device is confirmed", standing, (now) => now === "confirmed");
}

/** The page's device vouches for itself: nobody confirms it where what its person had before is gone. */
export async function vouch(page) {
  const standing = () => page.evaluate(() => window.parley.client.encryption.view.standing);
  const now = await eventually("the device knows how it stands", standing, (known) => known === "confirmed" || known === "waiting");
  if (now === "waiting") await page.evaluate(async () => (await window.parley.client.encryption.keys()).startAnew());
  await eventually("the device is confirmed", standing, (known) => known === "confirmed");
}

/** Opens the conversation of two on the page of one of them. */
export async function meet(page, who) {
  await page.getByRole("button", { name: "New conversation" }).click();
  await page.getByLabel("Message someone").fill(id(who));
  await page.keyboard.press("Enter");
  await page.getByRole("heading", { name: id(who), level: 2 }).waitFor();
}

export const write = async (page, text) => {
  await page.getByRole("textbox", { name: /^Message to/ }).fill(text);
  await page.keyboard.press("Enter");
};

/** Makes a group on one's page, and opens it on the others'. */
export async function found(title, founder, whos, others) {
  await founder.getByRole("button", { name: "New conversation" }).click();
  await founder.getByRole("button", { name: "New group" }).click();
  await founder.getByLabel("Group name").fill(title);
  await founder.getByLabel("People").fill(whos.map(id).join(", "));
  await founder.getByRole("button", { name: "Create" }).click();
  await founder.getByRole("heading", { name: title, level: 2 }).waitFor();
  for (const page of others) await page.getByRole("button", { name: new RegExp(`^${title}`) }).click();
}

export const press = (page, name) => page.getByRole("button", { name, exact: typeof name === "string" }).click();
export const videoCall = (page) => press(page, /^Video call with/);
export const voiceCall = (page) => press(page, /^Voice call with/);
export const accept = (page) => press(page, "Accept");
export const status = (page) => page.getByTestId("call-status").textContent();
export const calling = (page) => page.getByRole("dialog", { name: /^Call with/ });
export const ringing = (page) => page.getByRole("alertdialog", { name: /^Incoming/ });
export const gone = (locator) => locator.waitFor({ state: "detached" });

/** The last record of a call in the open conversation. */
export const record = (page) => page.getByTestId("call-record").last().textContent();

/** The clock runs: the call is answered, and the media is there. */
export const inCall = (page) => eventually("the clock runs", () => status(page), (text) => /^\d+:\d\d$/.test(text ?? ""));

/** Each stream that the page receives: what it has brought so far. */
export async function streams(page, kind) {
  const reports = await page.evaluate(() => window.parley.stats());
  return reports.filter((r) => r.type === "inbound-rtp" && r.kind === kind);
}

/** Of a stream of pictures: enough to say that they move. */
const MOVING = 10;

/** Waits until the page decodes `people` moving pictures and hears as many voices; returns both by stream. */
export async function seesAndHears(page, people) {
  const read = async () => ({
    frames: (await streams(page, "video")).map((r) => r.framesDecoded ?? 0),
    voices: (await streams(page, "audio")).map((r) => r.totalAudioEnergy ?? 0),
  });
  const good = ({ frames, voices }) => ({ frames: frames.filter((count) => count >= MOVING), voices: voices.filter((energy) => energy > 0) });
  const enough = (seen) => good(seen).frames.length >= people && good(seen).voices.length >= people;
  const progress = ({ frames, voices }) => [frames.map((count) => upTo(MOVING, count)), voices.map((energy) => energy > 0)];
  return good(await eventually(`${people} are seen and heard`, read, enough, progress));
}

/** Waits until more pictures have come than now. */
export async function goesOn(page, frames = MOVING) {
  const goal = (await received(page)).framesDecoded + frames;
  await eventually(`${frames} more pictures`, async () => (await received(page)).framesDecoded, (now) => now >= goal, (now) => upTo(goal, now));
}

/** The candidates of the path that the call's packets take. */
export async function path(page) {
  const reports = await page.evaluate(() => window.parley.stats());
  const by = (reportId) => reports.find((r) => r.id === reportId);
  const pair = by(reports.find((r) => r.type === "transport")?.selectedCandidatePairId);
  const local = by(pair?.localCandidateId);
  return { type: local?.candidateType, protocol: local?.relayProtocol };
}

/**
 * Waits until pictures and sound come by another connection than `before` (connectionOf), and returns what came by it.
 * Another connection counts anew, so that none of what is counted came by the former one.
 */
export async function comesByAnother(page, before, frames = MOVING) {
  const read = async () => {
    const connection = await connectionOf(page);
    return { ...(await received(page)), connection };
  };
  const isOther = (now) => Boolean(now.connection) && now.connection !== before;
  return eventually(
    `${frames} pictures, and sound, by another connection`,
    read,
    (now) => isOther(now) && now.framesDecoded >= frames && now.audioEnergy > 0,
    (now) => [isOther(now), isOther(now) && upTo(frames, now.framesDecoded), isOther(now) && now.audioEnergy > 0],
  );
}

/** One hangs up, and the other sees it. */
export async function hangUp(one, other) {
  await press(one, "Hang up");
  await gone(calling(other));
  return { hung_up: true };
}
