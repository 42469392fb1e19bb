// Takes the pictures of docs/start/gallery.md from the mock page, which needs no stack:
//   npm run library && (cd services/web && npx vite build --mode mock --outDir ../../../build/mock)
//   python -m http.server --directory build/mock 8791 &
//   node deploy/docs/pictures.mjs http://127.0.0.1:8791/ CHROMIUM docs/assets/gallery [screen…]
import { mkdirSync, writeFileSync } from "node:fs";
import { chromium } from "playwright-core";

const [url, executablePath, folder, ...only] = process.argv.slice(2);
/** Of WebP, of 100. Raising it: sharper and larger; the whole gallery is to stay below 2.5 MiB. */
const QUALITY = 62;
const DEVICES = {
  wide: { viewport: { width: 1180, height: 760 } },
  phone: { viewport: { width: 390, height: 780 }, isMobile: true, hasTouch: true },
};
/** Always the same, so that what has not changed looks the same in the next pictures. */
const NOW = new Date("2026-05-15T16:20:00");
const LANGUAGES = { en: "en-GB", ar: "ar-EG" };

/** What comes last: pictures, and what moves in. Raising it takes longer; lowering it shows things half there. */
const REST_MS = 700;

const press = async (page, selector) => {
  await page.locator(selector).first().waitFor({ state: "attached" });
  await page.locator(selector).first().evaluate((button) => button.click());
};

/** By name: the address, and what one does there. What is clicked is found by its form, since its words differ. */
const SCREENS = {
  list: { address: "?user=alice", act: (page) => page.locator("[data-key]").first().waitFor() },
  thread: { address: "?user=alice#/alice+bob", act: (page) => page.locator(".messages img").last().waitFor() },
  group: { address: "?user=alice#/hike", act: (page) => page.locator(".messages .bubble").first().waitFor() },
  menu: {
    address: "?user=alice#/hike",
    act: async (page) => {
      // On a phone one rests a finger on the message.
      await press(page, ".messages .message-actions");
      await page.locator("[role=menu]").waitFor();
    },
  },
  people: {
    address: "?user=alice#/hike",
    act: async (page) => {
      await press(page, ".thread-header [aria-expanded]");
      await page.locator(".panel").waitFor();
    },
  },
  search: {
    address: "?user=alice",
    act: async (page) => {
      await page.locator("input[type=search]").fill("ridge");
      await page.locator(".side mark").first().waitFor();
    },
  },
  new: {
    address: "?user=alice",
    act: async (page) => {
      await page.locator(".side-header [aria-expanded]").click();
      await page.locator(".side-header [aria-expanded=true]").waitFor();
    },
  },
  settings: {
    address: "?user=alice",
    act: async (page) => {
      await page.locator(".side-header [aria-haspopup=dialog]").click();
      await page.locator("dialog[open], [role=dialog]").waitFor();
    },
  },
  incoming: { address: "?user=alice&scene=incoming#/alice+bob", act: (page) => page.locator(".incoming").waitFor() },
  call: {
    address: "?user=alice&scene=group&people=5#/hike",
    act: async (page) => {
      await page.locator(".call-banner button").last().click();
      await page.locator(".call video").nth(2).waitFor();
    },
  },
};

async function take(browser, name, { address, act }, device, code, colorScheme) {
  const context = await browser.newContext({ ...DEVICES[device], locale: LANGUAGES[code], colorScheme, reducedMotion: "reduce", permissions: ["camera", "microphone"] });
  const page = await context.newPage();
  try {
    await page.clock.setFixedTime(NOW);
    await page.addInitScript((chosen) => localStorage.setItem("parley.language", chosen), code);
    await page.goto(`${url}${address}`);
    await page.locator(".side").waitFor({ state: "attached" });
    await act(page);
    await page.waitForTimeout(REST_MS);
    const session = await context.newCDPSession(page);
    const { data } = await session.send("Page.captureScreenshot", { format: "webp", quality: QUALITY });
    const bytes = Buffer.from(data, "base64");
    writeFileSync(`${folder}/${name}-${device}-${colorScheme}-${code}.webp`, bytes);
    return bytes.length;
  } finally {
    await context.close();
  }
}

mkdirSync(folder, { recursive: true });
const browser = await chromium.launch({ executablePath, args: ["--no-sandbox", "--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"] });
let total = 0;
for (const [name, screen] of Object.entries(SCREENS)) {
  if (only.length > 0 && !only.includes(name)) continue;
  for (const code of Object.keys(LANGUAGES)) {
    for (const colorScheme of ["light", "dark"]) {
      for (const device of Object.keys(DEVICES)) {
        const size = await take(browser, name, screen, device, code, colorScheme).catch((error) => console.error(`${name} ${device} ${colorScheme} ${code}: ${error.message.split("\n")[0]}`));
        total += size ?? 0;
      }
    }
  }
  console.log(name, `${Math.round(total / 1024)} KiB so far`);
}
await browser.close();
