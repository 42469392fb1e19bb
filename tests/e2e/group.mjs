// Two people in a group: made, written in, reacted to, edited, answered and unsent by clicking.
import { open, play, shoot, url } from "./play.mjs";
import { eventually } from "./waiting.mjs";

let alice, bob;
const run = Date.now().toString(36);
// The issuer knows these two by name; the group is this run's own.
const TITLE = `Hike ${run}`;
const PLAN = "Shall we meet at nine? The map is at https://example.org/map";
const BETTER = "Shall we meet at ten?";
const ANSWER = "Ten is fine, @Alice Adler!";
const SLIP = "This went to the wrong group";
const QUESTION = "Where do we eat?";

const WIDE = { viewport: { width: 1200, height: 780 }, colorScheme: "light" };
const PHONE = { viewport: { width: 390, height: 800 }, colorScheme: "dark", hasTouch: true };

const log = (page) => page.getByRole("log");
const bubble = (page, text) => log(page).locator(".bubble", { hasText: text });
const field = (page) => page.getByRole("textbox", { name: /^Message to/ });
const openMenu = async (page, text) => {
  await bubble(page, text).hover();
  await page.getByRole("button", { name: `Actions for the message “${text.slice(0, 60)}`, exact: false }).click();
};
/** A finger that rests on a bubble. */
const press = async (page, text) => {
  await bubble(page, text).dispatchEvent("pointerdown", { pointerType: "touch" });
  await page.getByRole("menu", { name: "Message actions" }).waitFor();
};

async function makeAGroup() {
  await alice.getByRole("button", { name: "New conversation" }).click();
  await alice.getByRole("button", { name: "New group" }).click();
  await alice.getByLabel("Group name").fill(TITLE);
  await alice.getByLabel("People").fill("bob");
  await alice.getByRole("button", { name: "Create" }).click();
  await alice.getByRole("heading", { name: TITLE, level: 2 }).waitFor();
  await alice.getByText("2 members").first().waitFor();
  await bob.getByRole("button", { name: new RegExp(`^${TITLE}`) }).click();
  await log(bob).getByText("Alice Adler created the group").waitFor();
  return { group_seen: true, call_buttons: await alice.getByRole("button", { name: new RegExp(`call with ${TITLE}`) }).count() };
}

async function writeAndReact() {
  await field(alice).fill(PLAN);
  await alice.keyboard.press("Enter");
  await bubble(bob, PLAN).waitFor();
  const link = bubble(bob, PLAN).getByRole("link");
  await press(bob, PLAN);
  await shoot(bob, "message-menu-phone-dark");
  await bob.getByRole("menuitemcheckbox", { name: "Thumbs up" }).click();
  await alice.getByRole("button", { name: "👍 by Bob Berger" }).waitFor();
  await alice.getByRole("button", { name: "👍 by Bob Berger" }).click();
  await bob.getByRole("button", { name: "👍 by Alice Adler and you" }).waitFor();
  return { reaction_seen: true, link: { href: await link.getAttribute("href"), rel: await link.getAttribute("rel") } };
}

/** By keyboard alone: Tab from the list to the newest message's actions, and through its menu. */
async function edit() {
  await log(alice).focus();
  await alice.keyboard.press("Tab");
  while (!(await alice.evaluate(() => document.activeElement?.classList.contains("message-actions")))) await alice.keyboard.press("Tab");
  await alice.keyboard.press("Enter");
  await alice.getByRole("menu", { name: "Message actions" }).waitFor();
  await shoot(alice, "message-menu-wide-light");
  await alice.keyboard.press("End");
  await alice.keyboard.press("ArrowUp");
  await alice.keyboard.press("Enter");
  await alice.getByText("Editing", { exact: true }).waitFor();
  await field(alice).fill(BETTER);
  await alice.keyboard.press("Enter");
  await bubble(bob, BETTER).getByText("edited").waitFor();
  return { edit_seen: (await bubble(bob, PLAN).count()) === 0 };
}

async function reply() {
  await press(bob, BETTER);
  await bob.getByRole("menuitem", { name: "Reply" }).click();
  await field(bob).pressSequentially("Ten is fine, @al");
  await bob.getByRole("option", { name: /Alice Adler/ }).waitFor();
  await shoot(bob, "mention-phone-dark");
  await bob.keyboard.press("Enter");
  await field(bob).press("Backspace");
  await field(bob).pressSequentially("!");
  await bob.keyboard.press("Enter");
  const answer = bubble(alice, ANSWER);
  await answer.waitFor();
  const quote = answer.getByRole("button", { name: /Answer to You/ });
  await quote.click();
  // The message that it leads to has the focus then.
  await eventually("the quoted message has the focus", () => bubble(alice, BETTER).first().evaluate(hasFocus), Boolean);
  return { reply_shown: await quote.textContent(), mention: await answer.locator(".mention.of-me").textContent() };
}

const hasFocus = (element) => element.closest("[id^=message-]").contains(document.activeElement);

async function unsend() {
  await field(alice).fill(SLIP);
  await alice.keyboard.press("Enter");
  await bubble(bob, SLIP).waitFor();
  await openMenu(alice, SLIP);
  await alice.getByRole("menuitem", { name: "Unsend" }).click();
  await shoot(alice, "unsend-wide-light");
  await alice.getByRole("alertdialog").getByRole("button", { name: "Unsend" }).click();
  await bubble(bob, "Message unsent").waitFor();
  return { unsend_seen: (await bubble(bob, SLIP).count()) === 0 };
}

/** Alice votes by keyboard alone. */
async function poll() {
  const box = (page) => log(page).getByRole("group", { name: QUESTION });
  const told = (page, line) => box(page).getByText(line).waitFor({ state: "attached" });
  await alice.getByRole("button", { name: "New poll" }).click();
  await alice.getByLabel("Question").fill(QUESTION);
  await alice.getByLabel("Option 1").fill("At the hut");
  await alice.getByLabel("Option 2").fill("In the valley");
  await shoot(alice, "poll-dialog-wide-light");
  await alice.getByRole("dialog").getByRole("button", { name: "Send" }).click();
  await box(bob).getByRole("radio", { name: "At the hut" }).check();
  await told(alice, "1 vote: Bob Berger");
  await box(alice).getByRole("radio", { name: "At the hut" }).focus();
  await alice.keyboard.press("Space");
  await told(bob, "2 votes: you and Alice Adler");
  await alice.keyboard.press("ArrowDown");
  await told(bob, "1 vote: Alice Adler");
  await shoot(bob, "poll-phone-dark");
  await box(bob).getByRole("button", { name: "Take my vote back" }).click();
  await eventually("nobody is for the hut", () => box(alice).getByText("0 votes").count(), (count) => count === 1);
  return { own_choice: await box(alice).getByRole("radio", { name: "In the valley" }).isChecked(), voters: await box(bob).getByText("1 vote: Alice Adler").count() };
}

async function invite(browser) {
  await alice.getByRole("button", { name: "Group details" }).click();
  await alice.getByRole("button", { name: "Create a link" }).click();
  const address = await alice.getByLabel("Invite link").inputValue();
  await shoot(alice, "group-panel-wide-light");
  await shoot(bob, "group-phone-dark");
  const carol = await open(browser, `${address}&user=carol`, WIDE);
  await carol.getByRole("alertdialog").getByRole("button", { name: "Join" }).click();
  await log(carol).getByText("You joined by an invite link").waitFor();
  await log(bob).getByText("Carol Castro joined by an invite link").waitFor();
  const unseen = await bubble(carol, BETTER).count();
  await alice.getByRole("button", { name: "Actions for Carol Castro" }).click();
  await alice.getByRole("menuitem", { name: "Remove from group" }).click();
  await carol.getByText(`You are no longer in “${TITLE}”.`).waitFor();
  await shoot(carol, "removed-wide-light");
  await log(bob).getByText("Alice Adler removed Carol Castro").waitFor();
  await carol.context().close();
  return { joined_by_invite: true, history_before_joining: unseen, removed_is_told: true };
}

async function reload() {
  await bob.reload();
  await bubble(bob, BETTER).first().waitFor();
  await bob.getByRole("button", { name: "👍 by Alice Adler and you" }).waitFor();
  await bubble(bob, "Message unsent").waitFor();
  await alice.getByRole("button", { name: "Close group details" }).click();
  await alice.emulateMedia({ colorScheme: "dark" });
  await shoot(alice, "group-wide-dark");
  await bob.getByRole("button", { name: "Group details" }).click();
  await bob.emulateMedia({ colorScheme: "light" });
  await shoot(bob, "group-panel-phone-light");
  return { reload_keeps_changes: true };
}

async function enterBoth(browser) {
  [alice, bob] = [await open(browser, `${url}?user=alice`, WIDE), await open(browser, `${url}?user=bob`, PHONE)];
}

await play({
  "both open the page": enterBoth,
  "a group is made": makeAGroup,
  "they write and react": writeAndReact,
  "a message is edited": edit,
  "a message is answered": reply,
  "a message is taken back": unsend,
  "a poll is voted in": poll,
  "a third one comes by an invite": invite,
  "the pages are loaded again": reload,
});
