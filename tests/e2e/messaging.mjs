// What people expect of direct messages beside talking: requests and blocks, receipts, files, search, vanishing, and
// keeping conversations; done by clicking, by people of this run's own.
import { crc32 } from "node:zlib";
import { enter as enterPage, id } from "./calling.mjs";
import { play, shoot } from "./play.mjs";
import { eventually } from "./waiting.mjs";

const WIDE = { viewport: { width: 1200, height: 780 }, colorScheme: "light" };
const PHONE = { viewport: { width: 390, height: 800 }, colorScheme: "dark", hasTouch: true };

const pages = new Map();
const enter = async (browser, name, options = WIDE, as = name) => {
  const page = await enterPage(browser, name, options);
  pages.set(as, page);
  return page;
};
const leave = async (as) => {
  await pages.get(as).context().close();
  pages.delete(as);
};

const log = (page) => page.getByRole("log");
const bubble = (page, text) => log(page).locator(".bubble", { hasText: text });
const row = (page, name) => page.getByRole("button", { name: new RegExp(`^${id(name)}`) });
const receipt = (page, text) => bubble(page, text).getByTestId("receipt").getAttribute("aria-label");
const back = (page) => page.getByRole("button", { name: "Back to conversations" }).click();
const write = async (page, text) => {
  await page.getByRole("textbox", { name: /^Message to/ }).fill(text);
  await page.keyboard.press("Enter");
};
const startWith = async (page, name) => {
  await page.getByRole("button", { name: "New conversation" }).click();
  await page.getByLabel("Message someone").fill(id(name));
  await page.keyboard.press("Enter");
  await page.getByRole("heading", { name: id(name), level: 2 }).waitFor();
};
const choose = async (page, button, ...items) => {
  await page.getByRole("button", { name: button }).click();
  for (const item of items) await page.getByRole("menuitem", { name: item }).click();
};

/** Sent while nobody is there, delivered when Ben's phone is on, read when he looks. */
async function receipts(browser) {
  const anna = await enter(browser, "anna");
  await startWith(anna, "ben");
  await write(anna, "Are you there?");
  const sent = await eventually("it is sent", () => receipt(anna, "Are you there?"), (label) => label === "Sent");
  const ben = await enter(browser, "ben", PHONE);
  const delivered = await eventually("it is delivered", () => receipt(anna, "Are you there?"), (label) => label === "Delivered");
  await row(ben, "anna").getByLabel("1 unread").waitFor();
  await row(ben, "anna").click();
  const read = await eventually("it is read", () => receipt(anna, "Are you there?"), (label) => label === "Read");
  await shoot(anna, "receipts-wide-light");
  return { receipts: [sent, delivered, read] };
}

/** A chunk of PNG that says where a picture was made, as cameras and editors write it. */
const PLACE = "GPS 52.5200 13.4050";
function madeSomewhere(png) {
  const body = Buffer.from(`tEXtComment\0${PLACE}`, "latin1");
  const [size, sum] = [Buffer.alloc(4), Buffer.alloc(4)];
  size.writeUInt32BE(body.length - 4);
  sum.writeUInt32BE(crc32(body));
  // Behind the header, which has 13 bytes.
  return Buffer.concat([png.subarray(0, 33), size, body, sum, png.subarray(33)]);
}

/** A picture with words, and a file that the other fetches. */
async function files() {
  const [anna, ben] = [pages.get("anna"), pages.get("ben")];
  const picture = madeSomewhere(await anna.screenshot());
  await anna.getByTestId("files").setInputFiles({ name: "view.png", mimeType: "image/png", buffer: picture });
  await anna.getByRole("button", { name: "Remove view.png" }).waitFor();
  await write(anna, "Look at this");
  const seen = ben.getByRole("img", { name: "view.png" });
  const width = await eventually("Ben sees the picture", () => seen.evaluate((img) => img.naturalWidth), (px) => px > 0);
  const arrived = await (await ben.context().request.get(await seen.getAttribute("src"))).body();
  await shoot(ben, "picture-phone-dark");
  await ben.getByRole("button", { name: "Open the picture view.png" }).click();
  await ben.getByRole("dialog", { name: "view.png" }).waitFor();
  await ben.keyboard.press("Escape");
  await anna.getByTestId("files").setInputFiles([
    { name: "notes.txt", mimeType: "text/plain", buffer: Buffer.from("milk, bread") },
    { name: "tool.exe", mimeType: "application/x-msdownload", buffer: Buffer.from("MZ") },
  ]);
  const refused = await anna.getByRole("list", { name: "Files to send" }).getByRole("alert").textContent();
  await shoot(anna, "files-wide-light");
  await anna.getByRole("button", { name: /^(Cancel|Remove) tool.exe/ }).click();
  await anna.getByRole("button", { name: "Remove notes.txt" }).waitFor();
  await anna.getByRole("button", { name: "Send", exact: true }).click();
  const fetched = new Promise((resolve) => {
    for (const page of [ben]) page.on("download", resolve);
    ben.context().on("page", (page) => page.on("download", resolve));
  });
  await ben.getByRole("button", { name: /^Download notes.txt/ }).click();
  const download = await fetched;
  const stream = await download.createReadStream();
  const text = (await stream.toArray()).join("");
  const places = [picture, arrived].map((bytes) => bytes.includes(PLACE));
  return { picture_width: width, picture_says_where: places, refused_file: refused, downloaded: [download.suggestedFilename(), text] };
}

/** Written now and sent at a time; Anna does not wait for it in the end. */
async function later() {
  const [anna, ben] = [pages.get("anna"), pages.get("ben")];
  await anna.getByRole("textbox", { name: /^Message to/ }).fill("See you tomorrow");
  await anna.getByRole("button", { name: "Send later…" }).click();
  await shoot(anna, "schedule-wide-light");
  await anna.getByRole("button", { name: "Schedule", exact: true }).click();
  await anna.getByRole("button", { name: "1 scheduled message" }).click();
  const list = anna.getByRole("dialog", { name: "Scheduled messages" });
  await list.getByText("See you tomorrow").waitFor();
  await list.getByRole("button", { name: "Change" }).click();
  const dialog = anna.getByRole("dialog", { name: "Change" });
  await dialog.getByRole("textbox").first().fill("See you the day after");
  await dialog.getByRole("button", { name: "Save" }).click();
  await list.getByText("See you the day after").waitFor();
  await shoot(anna, "scheduled-wide-light");
  const seen = await bubble(ben, "See you").count();
  await list.getByRole("button", { name: "Send now" }).click();
  await bubble(ben, "See you the day after").waitFor();
  await list.getByText("No message is scheduled here.").waitFor();
  await list.getByRole("button", { name: "Close" }).click();
  return { scheduled_seen_before: seen, scheduled_in_field: await anna.getByRole("textbox", { name: /^Message to/ }).inputValue() };
}

/** How many messages are still on their way. Of those only fewer are left, each time that one is. */
const unsent = (page) => log(page).locator(".row.sending, .row.failed").count();

/** The first message of a long conversation, from a page that holds only its end. */
async function searchAndJump() {
  const [anna, ben] = [pages.get("anna"), pages.get("ben")];
  const talk = (page, count) =>
    page.evaluate((n) => {
      const { messaging } = window.parley.client;
      const conversation = messaging.store.list()[0].conversation.id;
      for (let i = 0; i < n; i++) messaging.send(conversation, `Line ${i} of a long talk`);
    }, count);
  await Promise.all([talk(anna, 28), talk(ben, 28)]);
  for (const page of [anna, ben]) await eventually("all is sent", () => unsent(page), (left) => left === 0, (left) => left);
  await anna.reload();
  await row(anna, "ben").waitFor();
  await anna.getByRole("searchbox", { name: "Search messages" }).fill("ARE you the");
  const hit = anna.locator(".results").getByRole("button", { name: /Are you there/ });
  await hit.waitFor();
  const marked = await hit.locator("mark").allTextContents();
  await shoot(anna, "search-wide-light");
  await hit.click();
  await eventually("it is in sight", () => bubble(anna, "Are you there?").evaluate(inSight), (seen) => seen === true);
  await anna.getByRole("searchbox", { name: "Search messages" }).fill("");
  await choose(anna, "Conversation options", "Search in conversation");
  const words = anna.getByRole("searchbox", { name: "Search in this conversation" });
  await words.fill("line 27");
  // The index follows the messages; who searches too early finds less, and searches again.
  await eventually("both are found", async () => {
    const found = await anna.locator(".panel .results li").count();
    const isAnswered = (await anna.locator(".panel .results").getAttribute("aria-busy")) === "false";
    if (found < 2 && isAnswered) {
      await words.fill("line");
      await words.fill("line 27");
    }
    return found;
  }, (n) => n === 2, (n) => n);
  await anna.locator(".panel .results li button").first().click();
  await eventually("one is in sight", () => bubble(anna, "Line 27").last().evaluate(inSight), (seen) => seen === true);
  await shoot(anna, "search-in-conversation-wide-light");
  await anna.getByRole("button", { name: "Close search" }).click();
  return { search_marks: marked, jumped: true };
}

/** What was sent long ago, in a panel; each leads to its message, and the keyboard goes through its tabs. */
async function gallery() {
  const anna = pages.get("anna");
  await choose(anna, "Conversation options", "Pictures, files and links…");
  const panel = anna.getByRole("complementary", { name: "Pictures, files and links" });
  const picture = panel.getByRole("button", { name: "Open the picture view.png" });
  const width = await eventually("its picture is drawn", () => picture.locator("img").evaluate((img) => img.naturalWidth), (px) => px > 0);
  await shoot(anna, "gallery-wide-light");
  await picture.click();
  await anna.getByRole("dialog", { name: "view.png" }).waitFor();
  await anna.keyboard.press("Escape");
  await picture.hover();
  await panel.getByRole("button", { name: "Show view.png in the conversation" }).click();
  await eventually("its message is in sight", () => bubble(anna, "Look at this").evaluate(inSight), (seen) => seen === true);
  await panel.getByRole("tab", { name: "Pictures" }).focus();
  await anna.keyboard.press("ArrowRight");
  await panel.getByRole("tabpanel", { name: "Files" }).getByRole("button", { name: /^Download notes.txt/ }).waitFor();
  await shoot(anna, "gallery-files-wide-light");
  await anna.keyboard.press("End");
  await panel.getByText("No links yet.").waitFor();
  await anna.keyboard.press("Escape");
  await panel.waitFor({ state: "detached" });
  return { gallery_picture_width: width };
}

function inSight(element) {
  const box = element.getBoundingClientRect();
  const list = element.closest(".messages").getBoundingClientRect();
  return box.top >= list.top && box.bottom <= list.bottom;
}

/** Ben's clock is put five minutes on; Anna's is not. */
async function vanish() {
  const [anna, ben] = [pages.get("anna"), pages.get("ben")];
  await choose(anna, "Conversation options", "Vanishing messages…");
  await anna.getByLabel("After 5 minutes").check();
  await anna.getByRole("button", { name: "Save" }).click();
  await log(ben).getByText(`${id("anna")} set new messages to vanish after 5 minutes`).waitFor();
  await ben.clock.install();
  await ben.reload();
  await write(anna, "The code is 4711");
  await bubble(ben, "The code is 4711").waitFor();
  await bubble(ben, "The code is 4711").getByLabel(/^Vanishes/).waitFor();
  await shoot(anna, "vanishing-wide-light");
  await ben.clock.fastForward("05:05");
  await bubble(ben, "The code is 4711").waitFor({ state: "detached" });
  const still = await bubble(anna, "The code is 4711").count();
  await choose(anna, "Conversation options", "Vanishing messages…");
  await anna.getByLabel("Off").check();
  await anna.getByRole("button", { name: "Save" }).click();
  await log(anna).getByText("You turned vanishing messages off").waitFor();
  return { vanished: true, others_clock: still };
}

/** What Ben does on his phone is seen on his computer. */
async function keep(browser) {
  const phone = pages.get("ben");
  const desk = await enter(browser, "ben", { ...WIDE, colorScheme: "dark" }, "desk");
  const entry = (page) => row(page, "anna");
  await entry(desk).waitFor();
  const field = phone.getByRole("textbox", { name: /^Message to/ });
  await field.fill("half a thought");
  await entry(desk).getByText("half a thought").waitFor();
  await field.fill("");
  await entry(desk).getByText("half a thought").waitFor({ state: "detached" });
  await back(phone);
  const options = `Options for ${id("anna")}`;
  // On a touch screen the menu opens for a finger that rests on the row, or for the keyboard.
  const menu = async (...items) => {
    await phone.getByRole("button", { name: options }).focus();
    await phone.keyboard.press("Enter");
    for (const item of items) await phone.getByRole("menuitem", { name: item }).click();
  };
  await menu("Pin");
  await entry(desk).getByLabel("Pinned").waitFor();
  await menu("Mute…", "For 8 hours");
  await entry(desk).getByLabel("Muted").waitFor();
  await menu("Mark as unread");
  await entry(desk).getByLabel("Marked as unread").waitFor();
  await shoot(phone, "list-phone-dark");
  await menu("Archive");
  await desk.getByRole("button", { name: /^Archived/ }).click();
  await entry(desk).getByLabel("Muted").waitFor();
  await shoot(desk, "archived-wide-dark");
  await entry(desk).click();
  await phone.getByRole("button", { name: /^Archived/ }).click();
  await entry(phone).getByLabel("Marked as unread").waitFor({ state: "detached" });
  await menu("Move out of archive");
  await desk.getByRole("button", { name: "Back to all conversations" }).click();
  await entry(desk).getByLabel("Pinned").waitFor();
  await leave("desk");
  return { kept_on_all_devices: true };
}

/** Cleo lets only people in whom she follows; three strangers write. */
async function requests(browser) {
  const cleo = await enter(browser, "cleo", PHONE);
  await cleo.getByRole("button", { name: "Settings" }).click();
  await cleo.getByLabel("Who may message me").selectOption("followed");
  await cleo.getByText("Messages of others wait in Message requests.").waitFor();
  await shoot(cleo, "settings-phone-dark");
  await cleo.getByRole("button", { name: "Close" }).click();
  const dora = await enter(browser, "dora");
  await startWith(dora, "cleo");
  await write(dora, "May I write to you?");
  await cleo.getByRole("button", { name: /^Message requests ?1/ }).click();
  await row(cleo, "dora").click();
  await cleo.getByRole("region", { name: "Message request" }).waitFor();
  await bubble(cleo, "May I write to you?").waitFor();
  await shoot(cleo, "request-phone-dark");
  const presence = await dora.getByTestId("presence").textContent();
  const before = await receipt(dora, "May I write to you?");
  await cleo.getByRole("button", { name: "Accept", exact: true }).click();
  await eventually("Dora learns that it was read", () => receipt(dora, "May I write to you?"), (label) => label === "Read");
  await write(cleo, "Of course");
  await bubble(dora, "Of course").waitFor();
  await back(cleo);
  return { while_waiting: { receipt: before, presence }, accepted: true };
}

async function declineAndBlock(browser) {
  const [cleo, dora] = [pages.get("cleo"), pages.get("dora")];
  await cleo.getByRole("button", { name: "Back to all conversations" }).click();
  const emil = await enter(browser, "emil");
  await startWith(emil, "cleo");
  await write(emil, "Hello, hello");
  await cleo.getByRole("button", { name: /^Message requests ?1/ }).click();
  await row(cleo, "emil").click();
  await cleo.getByRole("button", { name: "Decline", exact: true }).click();
  await row(cleo, "emil").waitFor({ state: "detached" });
  await cleo.getByRole("button", { name: "Back to all conversations" }).click();
  // Whom she let in she can still block: it holds at once, both ways, and can be taken back.
  await row(cleo, "dora").click();
  await choose(cleo, "Conversation options", "Block…");
  await cleo.getByRole("alertdialog").getByRole("button", { name: "Block" }).click();
  await cleo.getByText(`You blocked ${id("dora")}.`).waitFor();
  await shoot(cleo, "blocked-phone-dark");
  await write(dora, "Are you cross with me?");
  const line = await dora.getByRole("status").getByText("You cannot write to").textContent();
  await shoot(dora, "refused-writing-wide-light");
  const got = await bubble(cleo, "Are you cross with me?").count();
  await cleo.getByRole("button", { name: "Unblock" }).click();
  await write(cleo, "I am not");
  await bubble(dora, "I am not").waitFor();
  await dora.getByRole("textbox", { name: /^Message to/ }).waitFor();
  return { declined: true, blocked_line: line, got_while_blocked: got };
}

await play({
  "a message is sent, delivered and read": receipts,
  "files are sent and fetched": files,
  "a message is sent at a time": later,
  "a message is searched for and shown": searchAndJump,
  "what was sent is shown by its kind": gallery,
  "messages vanish": vanish,
  "Ben writes, pins, mutes and archives, and his computer shows it": keep,
  "a stranger writes and Cleo accepts": requests,
  "Cleo declines Emil and blocks Dora": declineAndBlock,
});
