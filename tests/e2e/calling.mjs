// What the scenarios of calls share: people of one run, who talk to each other, and what their pages show of a call.
import { createInterface } from "node:readline";
import { eventually, launch, person, received } from "./browsers.mjs";

const run = Date.now().toString(36);

/** A user id of this run's own. */
export const id = (who) => `${who}-${run}`;

/** Opens pages of people of this run, whose errors end up in `faults`. */
export function stage(browser, url, faults, init) {
  const enter = async (who, options = {}) => {
    const page = await person(browser, `${url}?user=${id(who)}`, { ...options, init }, faults);
    await page.getByRole("button", { name: "New conversation" }).waitFor();
    return page;
  };
  return enter;
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

/** Waits until the page decodes `people` moving pictures and hears as many voices; returns both by stream. */
export async function seesAndHears(page, people) {
  const read = async () => ({
    frames: (await streams(page, "video")).map((r) => r.framesDecoded ?? 0).filter((frames) => frames > 10),
    voices: (await streams(page, "audio")).map((r) => r.totalAudioEnergy ?? 0).filter((energy) => energy > 0),
  });
  return eventually(`${people} are seen and heard`, read, ({ frames, voices }) => frames.length >= people && voices.length >= people);
}

/** Waits until more pictures have come than now. */
export async function goesOn(page, frames = 15) {
  const before = (await received(page)).framesDecoded;
  await eventually("pictures go on", async () => (await received(page)).framesDecoded, (now) => now > before + frames);
}

/** The candidates of the path that the call's packets take. */
export async function path(page) {
  const reports = await page.evaluate(() => window.parley.stats());
  const by = (reportId) => reports.find((r) => r.id === reportId);
  const pair = by(reports.find((r) => r.type === "transport")?.selectedCandidatePairId);
  const local = by(pair?.localCandidateId);
  return { type: local?.candidateType, protocol: local?.relayProtocol };
}

/** Waits for the test's next line. */
export async function told() {
  const lines = createInterface({ input: process.stdin });
  for await (const line of lines) {
    lines.close();
    return line;
  }
  throw new Error("the test has gone");
}

/** Runs acts one after the other, and prints their facts by name as one JSON object; `failure` when one stopped them. */
export async function play(executablePath, args, acts) {
  const facts = { faults: [], steps_ms: {} };
  const browser = await launch(executablePath, args);
  const folder = process.argv[4];
  try {
    for (const act of acts) {
      const started = Date.now();
      try {
        Object.assign(facts, await act(browser, facts));
      } catch (error) {
        let number = 0;
        for (const page of browser.contexts().flatMap((context) => context.pages())) await page.screenshot({ path: `${folder}/failed-${act.name}-${number++}.png` }).catch(() => undefined);
        throw new Error(`${act.name}: ${error.message}`, { cause: error });
      }
      facts.steps_ms[act.name] = Date.now() - started;
    }
  } catch (error) {
    facts.failure = error.message;
  } finally {
    await browser.close();
  }
  console.log(JSON.stringify(facts));
  process.exit(0);
}
