// Ben's browser loses Parley, is reloaded without it, and finds it again: what he had is there, and what he wrote goes out.
import { enter, id, meet, write } from "./calling.mjs";
import { faults, play, shoot } from "./play.mjs";
import { eventually } from "./waiting.mjs";

let anna, ben;
const bubble = (page, text) => page.getByRole("log").locator(".bubble", { hasText: text });
const counts = (page, texts) => Promise.all(texts.map((text) => bubble(page, text).count()));

const SAID = ["Shall we meet at nine?", "Or is ten better?"];
const TUNNEL = ["We are in a tunnel", "Still in the tunnel"];

/** Everything but the page's own files. */
const PARLEY = /\/(parley\.|dev\/|v1\/)/;
const lose = (page) => page.context().route(PARLEY, (route) => route.abort("internetdisconnected"));
const find = (page) => page.context().unroute(PARLEY);

async function talk(browser) {
  [anna, ben] = [await enter(browser, "anna"), await enter(browser, "ben")];
  await meet(anna, "ben");
  for (const text of SAID) await write(anna, text);
  await ben.getByRole("button", { name: new RegExp(`^${id("anna")}`) }).click();
  for (const text of SAID) await bubble(ben, text).waitFor();
  await eventually("his browser keeps them", () => kept(ben), (rows) => rows.some(({ messages }) => messages === SAID.length), (rows) => rows);
}

/** How many messages of how many conversations this browser keeps. */
async function kept(page) {
  return page.evaluate(async (user) => {
    const request = indexedDB.open(`parley.${user}`);
    const database = await new Promise((resolve) => (request.onsuccess = () => resolve(request.result)));
    const rows = database.transaction("conversations").objectStore("conversations").getAll();
    await new Promise((resolve) => (rows.onsuccess = resolve));
    database.close();
    return rows.result.map(({ messages }) => ({ messages: messages.length }));
  }, id("ben"));
}

async function reloadWithout() {
  await lose(ben);
  await ben.reload();
  for (const text of SAID) await bubble(ben, text).waitFor();
  const line = ben.getByRole("status").getByText("Reconnecting").and(ben.locator(":visible"));
  await line.waitFor();
  await shoot(ben, "offline-reload-wide-light");
  return { shown_without_network: await counts(ben, SAID) };
}

async function writeWithout() {
  for (const text of TUNNEL) await write(ben, text);
  for (const text of TUNNEL) await bubble(ben, text).waitFor();
  await ben.reload();
  for (const text of TUNNEL) await bubble(ben, text).waitFor();
  return { waits_after_reload: await counts(ben, TUNNEL), anna_has: await counts(anna, TUNNEL) };
}

async function comeBack() {
  await find(ben);
  for (const text of TUNNEL) await bubble(anna, text).waitFor();
  const order = await anna.getByRole("log").locator(".bubble").allTextContents();
  await ben.getByRole("log").getByLabel(/^(Sent|Delivered|Read)$/).last().waitFor();
  for (const page of [anna, ben]) {
    await page.reload();
    for (const text of TUNNEL) await bubble(page, text).waitFor();
  }
  const places = TUNNEL.map((text) => order.findIndex((line) => line.includes(text)));
  return { sent: [await counts(anna, TUNNEL), await counts(ben, TUNNEL)], in_order: places[0] >= 0 && places[0] < places[1] };
}

async function logOut() {
  await ben.getByRole("button", { name: "Log out" }).click();
  const names = () => ben.evaluate(async () => (await indexedDB.databases()).map(({ name }) => name));
  const left = await eventually("his browser keeps nothing", names, (found) => !found.includes(`parley.${id("ben")}`), (found) => found);
  // Requests that failed are what was meant to happen.
  faults.splice(0, Infinity, ...faults.filter((fault) => !fault.includes("INTERNET_DISCONNECTED")));
  return { databases_after_logout: left.filter((name) => name.includes(id("ben"))) };
}

await play({
  "Anna writes to Ben": talk,
  "Ben's page is reloaded without Parley": reloadWithout,
  "Ben writes without Parley, and his page is reloaded": writeWithout,
  "Parley is there again": comeBack,
  "Ben logs out": logOut,
});
