// Ben turns notifications on and closes his page; Anna writes. What push services would bring his browser is brought by Chromium's
// own tools (test_notifications.py takes it from services/push).
import { readFileSync } from "node:fs";
import { enter, id, meet, write } from "./calling.mjs";
import { cue, more, play, shoot, url } from "./play.mjs";
import { eventually } from "./waiting.mjs";

const [subscription, file] = more;
const WIDE = { viewport: { width: 1200, height: 900 }, colorScheme: "light" };
const SECRET = "My sister must not know";
/** On the page's origin, and nothing of Parley runs there: the page is closed. */
const CLOSED = new URL("/closed", url).href;

let anna, ben, tools;
const registrations = new Map();

/** In the place of the browser's push manager, whose service is out of reach. Runs in the page, before everything else. */
function subscribeSo(given) {
  if (!("PushManager" in window)) return;
  const bytes = (text) => Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (letter) => letter.charCodeAt(0));
  const { endpoint, ...keys } = JSON.parse(given);
  let standing = null;
  PushManager.prototype.getSubscription = async () => standing;
  PushManager.prototype.subscribe = async ({ applicationServerKey, userVisibleOnly }) => {
    if (!userVisibleOnly) throw new DOMException("it has to be seen", "NotAllowedError");
    const unsubscribe = async () => (standing = null) === null;
    return (standing = { endpoint, options: { applicationServerKey: applicationServerKey.slice().buffer }, getKey: (name) => bytes(keys[name]).buffer, unsubscribe });
  };
}

const settings = (page) => page.getByRole("button", { name: "Settings" }).click();
const done = (page) => page.getByRole("button", { name: "Close", exact: true }).click();
const leave = (page) => page.goto(CLOSED);
const comeBack = async (page) => {
  await page.goto(`${url}?user=${id("ben")}`);
  await page.getByRole("button", { name: "New conversation" }).waitFor();
};

/** What stands on the screen, as the browser says it. */
const shown = (page) =>
  page.evaluate(async () => {
    const registration = await navigator.serviceWorker.getRegistration("/");
    const notices = (await registration?.getNotifications()) ?? [];
    return Promise.all(notices.map(async ({ title, body, tag, data, icon }) => ({ title, body, tag, data, icon: (await fetch(icon)).status })));
  });

/** Brings what services/push has sent, up to a push with these fields, into the browser; what it brought. */
async function push(wanted) {
  await cue(JSON.stringify(wanted));
  const pushes = JSON.parse(readFileSync(file, "utf8"));
  const registrationId = await eventually("the registration of the worker", () => registrations.get(`${new URL(url).origin}/`), Boolean);
  for (const pushed of pushes) await tools.send("ServiceWorker.deliverPushMessage", { origin: new URL(url).origin, registrationId, data: JSON.stringify(pushed) });
  return pushes;
}

async function turnOn(browser) {
  ben = await enter(browser, "ben", { ...WIDE, permissions: ["camera", "microphone", "notifications"], init: [subscribeSo, subscription] });
  await ben.route(CLOSED, (route) => route.fulfill({ contentType: "text/html", body: '<link rel="icon" href="data:,">' }));
  tools = await ben.context().newCDPSession(ben);
  tools.on("ServiceWorker.workerRegistrationUpdated", ({ registrations: told }) => {
    for (const { scopeURL, registrationId } of told) registrations.set(scopeURL, registrationId);
  });
  await tools.send("ServiceWorker.enable");
  await settings(ben);
  const here = ben.getByRole("switch", { name: /^Notifications in this browser/ });
  await here.click();
  const hint = await eventually("it is on", () => ben.locator("label", { has: here }).locator(".small-print").textContent(), (text) => text?.startsWith("You are told"));
  await here.scrollIntoViewIfNeeded();
  await shoot(ben, "notifications-settings-wide-light");
  const on = await here.isChecked();
  await done(ben);
  return { settings: { on, hint } };
}

/** What a browser asks when it installs the page. */
async function install() {
  const { errors, data } = await tools.send("Page.getAppManifest");
  const { name, display, icons } = JSON.parse(data);
  const found = await ben.evaluate((places) => Promise.all(places.map(async (place) => (await fetch(place)).status)), icons.map(({ src }) => src));
  return { manifest: { name, display, errors, icons: found } };
}

async function sleep(browser) {
  await leave(ben);
  anna = await enter(browser, "anna", WIDE);
  await meet(anna, "ben");
  const seen = [];
  for (const text of ["Are you awake?", "The boat leaves at nine."]) {
    await write(anna, text);
    await push({ type: "notice", text });
    seen.push(await eventually(`the notice of "${text}"`, () => shown(ben), (all) => all.some(({ body }) => body === text)));
  }
  return { anna: id("anna"), shown: seen };
}

async function readElsewhere(browser) {
  const phone = await enter(browser, "ben", { viewport: { width: 390, height: 800 } });
  await phone.getByRole("button", { name: new RegExp(`^${id("anna")}`) }).click();
  await phone.getByRole("log").locator(".bubble", { hasText: "The boat" }).waitFor();
  await push({ type: "take_back" });
  const left = await eventually("the notice goes", () => shown(ben), (all) => all.length === 0, (all) => all.length);
  await phone.context().close();
  return { after_reading_elsewhere: left };
}

async function hide() {
  await comeBack(ben);
  await settings(ben);
  const previews = ben.getByRole("switch", { name: /^Show names and messages/ });
  await previews.click();
  await ben.getByText("Notifications say only that something came.").waitFor();
  await done(ben);
  await leave(ben);
  // Who is there is told later: most is read by then.
  await anna.getByText(/^Last seen/).first().waitFor();
  await write(anna, SECRET);
  const pushes = await push({ type: "notice" });
  const notices = await eventually("the notice", () => shown(ben), (all) => all.length === 1, (all) => all.length);
  const told = JSON.stringify(pushes);
  return { without_previews: notices, private_words_in_push: [SECRET, id("anna")].filter((words) => told.includes(words)) };
}

/** As a click would: the worker takes it for one, but may bring no window to the front. */
async function click() {
  await comeBack(ben);
  const [worker] = ben.context().serviceWorkers();
  await worker.evaluate(async () => {
    const [notification] = await self.registration.getNotifications();
    // The worker may not prolong its life by an event that is none of the browser's.
    self.addEventListener("error", (event) => event.preventDefault(), { once: true });
    self.dispatchEvent(new NotificationEvent("notificationclick", { notification }));
  });
  await ben.getByRole("heading", { name: id("anna"), level: 2 }).waitFor();
  const left = await eventually("the notice goes", () => shown(ben), (all) => all.length === 0, (all) => all.length);
  return { after_click: { open: (await ben.getByRole("heading", { level: 2 }).first().textContent()).trim(), left: left.length } };
}

/** The level that the menu of the conversation shows, after another one was chosen. */
async function choose(next) {
  await ben.getByRole("button", { name: `Options for ${id("anna")}` }).first().click();
  await ben.getByRole("menuitem", { name: "Notifications…" }).click();
  const chosen = ben.getByRole("menuitemradio", { checked: true });
  const before = (await chosen.textContent())?.trim();
  await ben.getByRole("menuitemradio", { name: next }).click();
  return before;
}

async function setLevels() {
  await shoot(ben, "notifications-conversation-wide-light");
  const levels = [];
  for (const next of ["Mentions and replies", "As in the settings", "As in the settings"]) {
    levels.push(await choose(next));
    await eventually(`the level is "${next}"`, () => ben.evaluate(() => window.parley.client.notifications.levelOf(location.hash.slice(2)) ?? "default"), (level) => (level === "mentions") === (next === "Mentions and replies"));
  }
  return { levels };
}

async function logOut() {
  await ben.getByRole("button", { name: "Log out" }).click();
  await ben.getByRole("button", { name: "Log in" }).waitFor();
  const left = () =>
    ben.evaluate(async (user) => {
      const registration = await navigator.serviceWorker.getRegistration("/");
      return { notices: (await registration.getNotifications()).length, caches: await caches.keys(), choice: localStorage.getItem(`parley.notices.${user}`) };
    }, id("ben"));
  return { after_logout: await eventually("nothing is left", left, ({ caches }) => caches.length === 0, ({ caches }) => caches) };
}

await play({
  "Ben turns notifications on": turnOn,
  "the page could be installed": install,
  "Anna writes while Ben's page is closed": sleep,
  "Ben reads on his phone": readElsewhere,
  "Ben wants no previews": hide,
  "Ben chooses the notice": click,
  "Ben sets the level of the conversation": setLevels,
  "Ben logs out": logOut,
});
