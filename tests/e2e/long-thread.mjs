// The mock page with a conversation of ten thousand messages: what stands in the document, and where the reader is.
import { open, play, shoot, url } from "./play.mjs";
import { eventually } from "./waiting.mjs";

let alice;
const log = () => alice.getByRole("log");
const rows = () => log().getByRole("listitem").count();
/** Of a message of that text alone: how far below the list's upper edge it is, and how high the list is. */
const placeOf = (text) =>
  alice.evaluate((wanted) => {
    const box = document.querySelector(".messages");
    const row = [...box.querySelectorAll(".row")].find((each) => each.querySelector(".text")?.textContent === wanted);
    return row && { top: Math.round(row.getBoundingClientRect().top - box.getBoundingClientRect().top), seen: box.clientHeight };
  }, text);
const inSight = (text) => eventually(`${text} is in sight`, () => placeOf(text), (place) => Boolean(place) && place.top >= 0 && place.top < place.seen);
const scrollBy = (px) => alice.evaluate((by) => (document.querySelector(".messages").scrollTop += by), px);

async function openIt(browser) {
  alice = await open(browser, `${url}?user=alice&scene=long#/alice+chidi`, { viewport: { width: 1100, height: 800 } });
  await log().waitFor();
  await inSight("That is where it began");
  return { rows_at_first: await rows() };
}

async function jump() {
  await log().getByTitle("Show this message").last().click();
  await inSight("Message 20");
  await shoot(alice, "long-thread-wide-light");
  const place = await placeOf("Message 20");
  return { rows_far_up: await rows(), count: Number(await log().getByRole("listitem").first().getAttribute("aria-setsize")), middle: Math.abs(place.top - place.seen / 2) / place.seen };
}

/** A row above what is seen grows, as one whose picture comes. */
async function grow() {
  const before = await placeOf("Message 20");
  const moved = await alice.evaluate(async () => {
    const box = document.querySelector(".messages");
    const above = [...box.querySelectorAll("[data-key]")].find((row) => row.querySelector(".text")?.textContent === "Message 4");
    above.style.minHeight = "400px";
    await new Promise((resolve) => setTimeout(resolve, 200));
    return above.getBoundingClientRect().height;
  });
  const after = await placeOf("Message 20");
  return { grown: moved, place: [before.top, after.top] };
}

async function scroll() {
  let most = 0;
  for (let i = 0; i < 20; i++) {
    await scrollBy(2500);
    await alice.evaluate(() => new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve))));
    most = Math.max(most, await rows());
  }
  return { rows_at_most: most };
}

async function back() {
  await alice.getByRole("button", { name: "To the newest messages" }).click();
  await inSight("That is where it began");
  return { rows_at_last: await rows() };
}

await play({
  "the conversation opens at its end": openIt,
  "one jumps to what the last message answers": jump,
  "a row above grows": grow,
  "one scrolls": scroll,
  "one goes back to the end": back,
});
