// Two people whose browsers may use nothing but a TURN relay, over one transport after the other.
// Usage: node relay.mjs <web address> <chromium> <folder for screenshots>
// Once the call over UDP runs it prints "in call", reads a line when the relay was started anew, and wants the call to go on.
import { connectionOf, eventually, received } from "./browsers.mjs";
import { accept, calling, gone, inCall, meet, path, play, press, seesAndHears, stage, told, videoCall } from "./calling.mjs";

const [url, executablePath] = process.argv.slice(2);

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

async function call(browser, facts, transport) {
  const enter = stage(browser, url, facts.faults, [forceRelay, transport]);
  const pages = [await enter(`ida-${transport}`), await enter(`jon-${transport}`)];
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

const over = (transport) =>
  async function relayed(browser, facts) {
    const pages = await call(browser, facts, transport);
    const paths = await Promise.all(pages.map(path));
    if (transport === "udp") await loseTheWay(pages);
    await hangUp(pages);
    return { [transport]: paths, ...(transport === "udp" ? { went_on: true } : {}) };
  };

/** The way to the network is gone, and there is another one: the relay forgets what it relayed, and comes back empty. */
async function loseTheWay(pages) {
  const before = await Promise.all(pages.map(connectionOf));
  console.log("in call");
  await told();
  for (const [i, page] of pages.entries()) {
    await eventually(
      "pictures come by another connection",
      async () => ({ ...(await received(page)), connection: await connectionOf(page) }),
      (now) => now.connection && now.connection !== before[i] && now.framesDecoded > 5,
    );
  }
}

// The relay's certificate is its own authority, which Chromium does not know; tests/integration/test_relay.py checks it.
await play(executablePath, ["--ignore-certificate-errors"], [over("udp"), over("tcp"), over("tls")]);
