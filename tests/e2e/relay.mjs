// Two people whose browsers may use nothing but a TURN relay, over one transport after the other.
// Once the call over UDP runs the test starts the relay anew, and the call goes on.
import { connectionOf } from "./browsers.mjs";
import { accept, calling, comesByAnother, enter, gone, inCall, meet, path, press, seesAndHears, videoCall } from "./calling.mjs";
import { cue, play } from "./play.mjs";

/** Runs in the page, before everything else: connections get the relay's address of one transport, and no other way. */
function forceRelay(transport) {
  const Original = RTCPeerConnection;
  const wanted = (address) => (transport === "tls" ? address.startsWith("turns:") : address.startsWith("turn:") && address.endsWith(`transport=${transport}`));
  globalThis.RTCPeerConnection = class extends Original {
    constructor(options) {
      const iceServers = options.iceServers.map((server) => ({ ...server, urls: server.urls.filter(wanted) }));
      super({ ...options, iceServers, iceTransportPolicy: "relay" });
    }
  };
}

async function call(browser, transport) {
  const init = [forceRelay, transport];
  const pages = [await enter(browser, `ida-${transport}`, { init }), await enter(browser, `jon-${transport}`, { init })];
  await meet(pages[0], `jon-${transport}`);
  await videoCall(pages[0]);
  await accept(pages[1]);
  for (const page of pages) await inCall(page);
  for (const page of pages) await seesAndHears(page, 1);
  return pages;
}

async function hangUp(pages) {
  await press(pages[0], "Hang up");
  await gone(calling(pages[1]));
  for (const page of pages) await page.context().close();
}

/** The step of one transport. */
const over = (transport) => async (browser) => {
  const pages = await call(browser, transport);
  const paths = await Promise.all(pages.map(path));
  if (transport === "udp") await loseTheWay(pages);
  await hangUp(pages);
  return { [transport]: paths, ...(transport === "udp" ? { went_on: true } : {}) };
};

/** The way to the network is gone, and there is another one: the relay forgets what it relayed, and comes back empty. */
async function loseTheWay(pages) {
  const before = await Promise.all(pages.map(connectionOf));
  await cue("start the relay anew");
  await Promise.all(pages.map((page, i) => comesByAnother(page, before[i])));
}

// The relay's certificate is its own authority, which Chromium does not know; tests/integration/test_relay.py checks it.
await play(
  { "a call goes over UDP": over("udp"), "a call goes over TCP": over("tcp"), "a call goes over TLS": over("tls") },
  { args: ["--ignore-certificate-errors"] },
);
