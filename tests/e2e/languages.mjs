// The page in Arabic, from right to left, beside one in English; and from one language to another while it is used.
import { id, videoCall } from "./calling.mjs";
import { open, play, shoot, url } from "./play.mjs";
import { eventually } from "./waiting.mjs";

const WIDE = { viewport: { width: 1200, height: 780 }, colorScheme: "light" };
const PHONE = { viewport: { width: 390, height: 800 }, colorScheme: "dark", hasTouch: true };
/** What Layla writes: its direction is the page's, but for the address in it. */
const QUESTION = "متى نلتقي؟ العنوان https://example.com/cafe";
const ANSWER = "At seven, by the old bridge. I will bring the tickets and we can walk from there, it takes ten minutes.";

let layla, omar;

async function enter(browser, who, button, options) {
  const page = await open(browser, `${url}?user=${id(who)}`, options);
  await page.getByRole("button", { name: button }).waitFor();
  return page;
}

const bubble = (page, text) => page.getByRole("log").locator(".bubble", { hasText: text });
const box = (locator) => locator.boundingBox();
/** Whether an element's middle is left of another's. */
const isLeftOf = async (one, other) => {
  const [a, b] = await Promise.all([box(one), box(other)]);
  return a.x + a.width / 2 < b.x + b.width / 2;
};
const direction = (page) => page.evaluate(() => [document.documentElement.lang, document.documentElement.dir]);
/** Words in Latin letters that a reader of the page finds, but for what people are called and wrote, and names that are so in every language. */
const latin = async (page) => {
  const text = await page.evaluate(() => {
    const named = [...document.querySelectorAll("[aria-label], [title], [placeholder]")].flatMap((element) => ["aria-label", "title", "placeholder"].map((name) => element.getAttribute(name) ?? ""));
    const read = document.getElementById("app").cloneNode(true);
    for (const hidden of read.querySelectorAll("[aria-hidden=true]")) hidden.remove();
    return [read.textContent, ...named].join("\n");
  });
  // The device's code, which is compared on two devices, is random.
  const code = await page.evaluate(() => window.parley.client.encryption.ownId.slice(-6));
  const own = ["layla", "omar"].map(id).concat(code, QUESTION, "https://example.com/cafe", "example.com", ANSWER, ANSWER.slice(0, 59), "(Esc)", "Parley", "English", "Español");
  return own.reduce((rest, words) => rest.replaceAll(words, ""), text).match(/[A-Za-z]{2,}/g) ?? [];
};

/** Where things stand on Layla's page, and on Omar's. */
const sides = async (page, words) => ({
  list_left_of_thread: await isLeftOf(page.locator(".side"), page.locator(".main")),
  send_left_of_field: await isLeftOf(page.locator(".composer .send"), page.locator(".composer textarea")),
  own_left_of_others: await isLeftOf(bubble(page, words.own), bubble(page, words.other)),
  back_is_turned: await page.locator(".send .icon").evaluate((icon) => getComputedStyle(icon).transform.startsWith("matrix(-1")),
});

async function meet(browser) {
  layla = await enter(browser, "layla", "محادثة جديدة", { ...WIDE, locale: "ar" });
  omar = await enter(browser, "omar", "New conversation", { ...WIDE, colorScheme: "dark" });
  await shoot(layla, "languages-empty-wide-light");
  await layla.getByRole("button", { name: "محادثة جديدة" }).click();
  await layla.getByLabel("مراسلة شخص").fill(id("omar"));
  await layla.keyboard.press("Enter");
  await layla.getByRole("heading", { name: id("omar"), level: 2 }).waitFor();
  await layla.getByRole("textbox", { name: /^رسالة إلى/ }).fill(QUESTION);
  await layla.keyboard.press("Enter");
  await omar.getByRole("button", { name: new RegExp(`^${id("layla")}`) }).click();
  await bubble(omar, "متى نلتقي").waitFor();
  await omar.getByRole("textbox", { name: /^Message to/ }).fill(ANSWER);
  await omar.keyboard.press("Enter");
  await bubble(layla, ANSWER).waitFor();
  await layla.getByTestId("receipt").and(layla.getByLabel("قُرئت")).waitFor();
  await shoot(layla, "languages-conversation-wide-light");
  await shoot(omar, "languages-conversation-english-wide-dark");
  return {
    pages: await Promise.all([layla, omar].map(direction)),
    arabic_sides: await sides(layla, { own: "متى نلتقي", other: ANSWER }),
    english_sides: await sides(omar, { own: ANSWER, other: "متى نلتقي" }),
    text_directions: await Promise.all([layla, omar].map((page) => page.locator(".bubble > .text").evaluateAll((texts) => texts.map((text) => getComputedStyle(text).direction)))),
    latin_words: await latin(layla),
  };
}

/** A call from the English page to the Arabic one. */
async function call() {
  await videoCall(omar);
  await layla.getByRole("alertdialog", { name: /^مكالمة فيديو واردة/ }).waitFor();
  await shoot(layla, "languages-incoming-wide-light");
  await layla.getByRole("button", { name: "قبول" }).click();
  const status = layla.getByTestId("call-status");
  await eventually("the clock runs", () => status.textContent(), (text) => /^[\d٠-٩]+:[\d٠-٩]{2}$/.test(text ?? ""));
  await layla.getByLabel("كاميرتك").waitFor();
  const [controls, own] = await Promise.all([box(layla.locator(".controls")), box(layla.locator(".local-video"))]);
  await shoot(layla, "languages-call-wide-light");
  const words = await latin(layla);
  await layla.getByRole("button", { name: "إنهاء المكالمة" }).click();
  const record = layla.getByTestId("call-record").last();
  await record.getByText("مكالمة فيديو").waitFor();
  const { width } = layla.viewportSize();
  return {
    // The middle of the controls against the window's, in pixels.
    controls_off_middle: Math.abs(controls.x + controls.width / 2 - width / 2),
    own_camera_left: own.x + own.width / 2 < width / 2,
    call_latin_words: words,
    record: (await record.locator("span").textContent()).trim(),
  };
}

/** Another language while something is half written: the page is the same one before and after. */
async function change() {
  await layla.evaluate(() => (window.__same = true));
  await layla.getByRole("textbox", { name: /^رسالة إلى/ }).fill("نصف فكرة");
  await layla.getByRole("button", { name: "الإعدادات" }).click();
  await layla.getByLabel("لغة الصفحة").scrollIntoViewIfNeeded();
  await shoot(layla, "languages-settings-wide-light");
  await layla.getByLabel("لغة الصفحة").selectOption("es");
  await layla.getByRole("heading", { name: "Ajustes" }).waitFor();
  const spanish = await direction(layla);
  await layla.getByRole("button", { name: "Cerrar", exact: true }).click();
  const draft = await layla.getByRole("textbox", { name: /^Mensaje para/ }).inputValue();
  const same = await layla.evaluate(() => window.__same === true);
  const left = await isLeftOf(layla.locator(".side"), layla.locator(".main"));
  await shoot(layla, "languages-spanish-wide-light");
  await layla.reload();
  await layla.getByRole("button", { name: "Nueva conversación" }).waitFor();
  const kept = await direction(layla);
  return { changed: { spanish, draft, same, list_left_of_thread: left, after_reload: kept } };
}

/** The same on a phone, in the dark. */
async function phone(browser) {
  const page = await enter(browser, "layla", "محادثة جديدة", { ...PHONE, locale: "ar-EG" });
  await page.getByRole("button", { name: new RegExp(`^${id("omar")}`) }).waitFor();
  await shoot(page, "languages-list-phone-dark");
  await page.getByRole("button", { name: new RegExp(`^${id("omar")}`) }).click();
  await bubble(page, ANSWER).waitFor();
  await shoot(page, "languages-conversation-phone-dark");
  const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
  const back = await box(page.locator(".thread-header .back"));
  await page.getByRole("button", { name: "الرجوع إلى المحادثات" }).click();
  await page.getByRole("button", { name: "الإعدادات" }).click();
  await page.getByRole("heading", { name: "الخصوصية" }).waitFor();
  await shoot(page, "languages-settings-phone-dark");
  return { phone: { wider_than_window: wide, back_on_the_right: back.x > page.viewportSize().width / 2, latin_words: await latin(page) } };
}

await play({
  "Layla and Omar write to each other": meet,
  "Omar calls Layla": call,
  "Layla takes another language": change,
  "Layla opens her phone": phone,
});
