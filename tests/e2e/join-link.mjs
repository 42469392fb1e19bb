// Somebody outside of a group comes into its call by a link, in a browser: waits, is let in, talks, and goes with the link.
import { accept, calling, enter, found, gone, id, inCall, press, seesAndHears, voiceCall } from "./calling.mjs";
import { open, play, shoot, url } from "./play.mjs";

const TITLE = `Choir ${Date.now().toString(36)}`;
const WIDE = { viewport: { width: 1200, height: 780 }, colorScheme: "light" };

let anna, ben, eve, address;
const people = (page) => page.getByRole("complementary", { name: "People" });
const tile = (page, who) => page.getByTestId("tile").and(page.locator(`[data-user="${id(who)}"]`));

/** Opens the link as somebody of this run would from anywhere, and answers the question. */
async function follow(browser, who) {
  const { pathname, hash } = new URL(address);
  const page = await open(browser, `${new URL(url).origin}${pathname}?user=${id(who)}${hash}`, WIDE);
  await page.getByRole("alertdialog", { name: "Join the call?" }).getByRole("button", { name: "Join", exact: true }).click();
  return page;
}

async function copyALink(browser) {
  [anna, ben] = [await enter(browser, "anna", WIDE), await enter(browser, "ben", WIDE)];
  await found(TITLE, anna, ["ben"], [ben]);
  await voiceCall(anna);
  await accept(ben);
  for (const page of [anna, ben]) await inCall(page);
  await press(ben, /^People in the call/);
  await people(ben).getByRole("button", { name: "Copy link for guests" }).click();
  address = await people(ben).getByLabel("Link to this call").inputValue();
  return { secret_in_the_fragment: /\/join\/#[\w-]{32}$/.test(address) };
}

async function waitInTheLobby(browser) {
  eve = await follow(browser, "eve");
  const lobby = eve.getByTestId("lobby");
  await lobby.waitFor();
  const line = await lobby.textContent();
  await press(anna, "1 waiting");
  await people(anna).getByText(id("eve")).waitFor();
  await shoot(anna, "call-lobby-wide-light");
  return { lobby_line: line.includes(id("ben")), others_named: line.includes(id("anna")), media_in_lobby: await calling(eve).count() };
}

async function comeIn() {
  await press(ben, `Let ${id("eve")} in`);
  await inCall(eve);
  await gone(eve.getByTestId("lobby"));
  for (const page of [anna, ben, eve]) await press(page, "Turn camera on");
  const seen = await Promise.all([anna, eve].map((page) => seesAndHears(page, 2)));
  const marked = await tile(anna, "eve").textContent();
  await shoot(anna, "call-guest-wide-light");
  return {
    seen,
    marked_as_guest: marked.includes(`${id("eve")} (guest)`),
    conversations_of_the_guest: await eve.getByRole("button", { name: new RegExp(`^${TITLE}`) }).count(),
    address_after: new URL(eve.url()).pathname + new URL(eve.url()).hash,
  };
}

async function refuse(browser) {
  const gus = await follow(browser, "gus");
  await people(anna).getByRole("button", { name: `Do not let ${id("gus")} in` }).click();
  const line = gus.getByTestId("lobby").getByText("You were not let into this call.");
  await line.waitFor();
  await press(gus, "Close");
  await gone(line);
  return { refused: true };
}

async function end() {
  await press(anna, "Leave call");
  await press(ben, "Leave call");
  await gone(calling(eve));
  return { ended_for_the_guest: true };
}

await play({
  "Ben copies a link to the call": copyALink,
  "Eve waits in the lobby": waitInTheLobby,
  "she is let in, and everybody sees a guest": comeIn,
  "Gus is refused": refuse,
  "the members leave": end,
});
