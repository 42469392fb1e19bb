// @vitest-environment jsdom
import axe from "axe-core";
import { create } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { h, render } from "preact";
import { afterEach, beforeAll, beforeEach, describe, expect, test, vi } from "vitest";
import { MemoryDeviceStore, ParleyClient } from "@parley/client";
import { type Call, CallSchema, LobbyGuestSchema } from "@parley/client/gen/parley/calls/v1/messages_pb";
import { FakeMedia, MockBackend, remoteParticipant } from "@parley/client/testing";
import { seed } from "../mock/seed";
import { Faces } from "../src/avatar";
import { language, type LanguageCode } from "../src/language";
import { Login } from "../src/login";
import { Session } from "../src/session";
import { Shell } from "../src/shell";
import { LinkPreviews } from "../src/use-link-preview";
import { useDevices } from "./fake-devices";
import { useRecorder } from "./fake-recorder";
import { unmount, until } from "./support";

const DEVICES = [
  { kind: "audioinput", deviceId: "mic", label: "Built-in microphone" },
  { kind: "videoinput", deviceId: "cam", label: "Built-in camera" },
] as const;
const NAMES: Readonly<Record<string, string>> = { alice: "Alice Moreau", bob: "Bob Lindqvist", chidi: "Chidi Okafor", layla: "ليلى حداد" };
const nameOf = (userId: string): string => NAMES[userId] ?? userId;

/** Media in which Bob is muted and without a camera, and nobody sees anything. */
class QuietMedia extends FakeMedia {
  override weak = true;

  override start(): void {
    this.remotes = ["bob", "chidi"].map((userId) => remoteParticipant(userId, { audioMuted: userId === "bob", videoMuted: userId === "bob" }));
    super.start();
  }
}

let backend: MockBackend;
let alice: ParleyClient;
let page: HTMLElement;

/** What browsers have and jsdom has not. */
beforeAll(() => {
  vi.stubGlobal("matchMedia", () => ({ matches: false, addEventListener: () => undefined, removeEventListener: () => undefined }));
  for (const name of ["ResizeObserver", "IntersectionObserver"]) vi.stubGlobal(name, class { observe(): void {} disconnect(): void {} });
  Element.prototype.animate = () => ({}) as Animation;
  Element.prototype.scrollIntoView = () => undefined;
  keepStyles();
  // Only axe's look at icons in fonts asks for it.
  HTMLCanvasElement.prototype.getContext = () => null;
});

beforeEach(() => {
  useDevices(DEVICES);
  vi.stubGlobal("URL", Object.assign(URL, { createObjectURL: () => "", revokeObjectURL: () => undefined }));
  location.hash = "";
  document.title = "Parley";
  document.documentElement.lang = "en";
  backend = new MockBackend();
  page = document.body.appendChild(document.createElement("div"));
  page.id = "app";
});
afterEach(async () => {
  unmount(page);
  page.remove();
  alice?.stop();
  for (const name of ["RTCRtpScriptTransform", "MediaRecorder"]) Reflect.deleteProperty(globalThis, name);
  vi.restoreAllMocks();
  await language.choose("en");
});

function clientOf(userId: string): ParleyClient {
  const kept = new Map<string, string>();
  return new ParleyClient({
    userId,
    deviceId: `device-of-${userId}`,
    tokens: () => Promise.resolve({ value: "t", userId, expiresMs: Number.POSITIVE_INFINITY }),
    baseUrl: "",
    api: backend.apiFor(userId),
    put: backend.files.put,
    store: new MemoryDeviceStore(),
    media: (_signaling, listener) => new QuietMedia(() => listener.onChange()),
    storage: { getItem: (key) => kept.get(key) ?? null, setItem: (key, value) => void kept.set(key, value), removeItem: (key) => void kept.delete(key) },
  });
}

/** Some days of talk. Messages in a row are alike to axe, and it takes its time for each. */
const fill = (): void => seed(backend, 4);

/** The page of Alice, with an open conversation or none. */
async function open(conversationId = ""): Promise<void> {
  alice = clientOf("alice");
  void alice.start();
  await until("all is here", () => alice.current && alice.relations.settings !== undefined);
  location.hash = `#/${encodeURIComponent(conversationId)}`;
  render(h(Faces.Provider, { value: () => "" }, h(LinkPreviews.Provider, { value: async () => ({ title: "It rains" }) }, h(Shell, { client: alice, nameOf, onLogout: () => undefined }))), page);
  if (conversationId) await until("it is open", () => page.querySelector(".thread") !== null);
}

const named = (name: string | RegExp, role = "button, [role^=menuitem], [role=tab]"): HTMLElement | undefined =>
  [...page.querySelectorAll<HTMLElement>(role)].find((element) => {
    const own = (element.getAttribute("aria-label") ?? element.textContent ?? "").trim();
    return typeof name === "string" ? own === name : name.test(own);
  });

async function click(...names: readonly (string | RegExp)[]): Promise<void> {
  for (const name of names) {
    await until(`${name} is there`, () => named(name) !== undefined);
    named(name)?.click();
  }
}

const shows = (what: string | RegExp): Promise<void> => until(`${what} is shown`, () => (typeof what === "string" ? page.textContent?.includes(what) : what.test(page.textContent ?? "")) === true);
const dialog = (): Promise<void> => until("a window is open", () => page.querySelector("dialog[open]") !== null);

function type(selector: string, text: string): void {
  const field = page.querySelector<HTMLInputElement | HTMLTextAreaElement>(selector);
  if (!field) throw new Error(`no ${selector}`);
  field.value = text;
  field.dispatchEvent(new Event("input", { bubbles: true }));
}

const menuOf = (words: string): void => {
  const row = [...page.querySelectorAll<HTMLElement>(".row")].find((found) => found.textContent?.includes(words));
  row?.querySelector<HTMLElement>(".message-actions")?.click();
};

async function inCall(conversationId: string, peer: string): Promise<void> {
  await open(conversationId);
  alice.calls.dial(conversationId, peer, true);
  await until("it is there", () => alice.calls.view().call !== undefined);
}

/** A group's call with Bob in it, and somebody in the lobby. */
async function inGroupCall(): Promise<void> {
  await inCall("hike", "");
  const call = (): Call => backend.calls.methodsOf("alice").getCall({ callId: alice.calls.view().call?.id ?? "" }).call;
  backend.calls.methodsOf("bob").joinCall({ callId: call().callId, deviceId: "bobs" });
  await until("he is there", () => alice.calls.view().remotes.length > 0);
  backend.sendEvent(["alice"], { case: "call", value: create(CallSchema, { ...call(), version: call().version + 5n, lobby: [create(LobbyGuestSchema, { userId: "guest-eve", linkId: "l" })] }) });
  await until("somebody waits", () => (alice.calls.view().call?.lobby.length ?? 0) > 0);
}

/** How the page comes to each state, and what it shows then. */
const STATES: Readonly<Record<string, () => Promise<void>>> = {
  "the login": async () => {
    const session = new Session({ loadUsers: () => Promise.resolve([{ userId: "bob", name: "Bob" }]) });
    render(h(Login, { session }), page);
    await session.login("x");
    render(h(Login, { session }), page);
    await until("it says what went wrong", () => (page.querySelector("[role=alert]")?.textContent?.trim() ?? "") !== "");
  },
  "an account without conversations": async () => {
    await open();
    await until("that is said", () => page.querySelector(".list-hint") !== null);
  },
  "the list": async () => {
    fill();
    await open();
    await until("rows are there", () => page.querySelectorAll("[data-key]").length > 3);
  },
  "the requests": async () => {
    fill();
    await open();
    await until("there is one", () => page.querySelector(".folder-row") !== null);
    page.querySelector<HTMLElement>(".folder-row")?.click();
    await until("it is listed", () => page.querySelector(".folder-hint") !== null);
  },
  "a list that is offline": async () => {
    fill();
    await open("alice+bob");
    backend.fault = new ConnectError("down", Code.Unavailable);
    backend.dropStreams("alice");
    await until("that is said", () => page.querySelector(".stream-line") !== null);
  },
  "a conversation's options": async () => {
    fill();
    await open();
    await until("rows are there", () => page.querySelector(".item-more") !== null);
    page.querySelector<HTMLElement>(".item-more")?.click();
    await until("they are there", () => page.querySelector("[role=menu]") !== null);
  },
  "a new conversation": async () => {
    fill();
    await open();
    page.querySelector<HTMLElement>(".side-header button[aria-expanded]")?.click();
    await until("it is there", () => page.querySelector(".new-conversation") !== null);
  },
  "what a search finds": async () => {
    fill();
    await open();
    type(".search-field input", "ridge");
    await until("it is there", () => page.querySelectorAll(".side mark").length > 0);
  },
  "a search that finds nothing": async () => {
    fill();
    await open();
    type(".search-field input", "zebra");
    await until("that is said", () => page.querySelector(".side .list-hint, .side .list p") !== null);
  },
  "a conversation of two": async () => {
    fill();
    await open("alice+bob");
    await shows("Spiegel im Spiegel");
  },
  "a group": async () => {
    fill();
    await open("hike");
    await shows("Ridge for me too");
  },
  "a conversation in which nothing was said": async () => {
    fill();
    backend.openDirect("alice", "gus");
    await open("alice+gus");
    await until("that is said", () => page.querySelector(".older") !== null);
  },
  "a request": async () => {
    fill();
    await open("alice+farid");
    await until("it asks", () => page.querySelector(".request-bar, .request-buttons") !== null);
  },
  "a message that was not sent": async () => {
    fill();
    await open("alice+bob");
    backend.faults.set("sendMessage", new ConnectError("no", Code.InvalidArgument));
    alice.messaging.send("alice+bob", "This cannot be sent");
    await until("it failed", () => alice.messaging.store.get("alice+bob")?.outgoing[0]?.state === "failed");
    await shows("This cannot be sent");
  },
  "previews of links, sent and to be sent": async () => {
    seed(backend);
    await open("alice+layla");
    await until("the one is there", () => page.querySelector(".bubble .link-card") !== null);
    type(".composer textarea", "https://news.example/");
    await until("the other is there", () => page.querySelector(".link-draft") !== null);
  },
  "a notice": async () => {
    fill();
    await open("alice+bob");
    alice.showNotice("Copied.");
    await shows("Copied.");
  },
  "a message's menu": async () => {
    fill();
    await open("hike");
    await shows("Ridge for me too");
    menuOf("Ridge for me too");
    await until("it is there", () => page.querySelector("[role=menu]") !== null);
  },
  "the options of a conversation": async () => {
    fill();
    await open("alice+bob");
    page.querySelector<HTMLElement>(".thread-header [aria-haspopup=menu]")?.click();
    await until("they are there", () => page.querySelector("[role=menu]") !== null);
  },
};

/** Those in which something is clicked by its English name. */
const BY_NAME: Readonly<Record<string, () => Promise<void>>> = {
  "the gallery": async () => {
    fill();
    await open("alice+bob");
    await click("Conversation options", /^Pictures, files/);
    await until("it is there", () => page.querySelector(".panel [role=tabpanel]") !== null);
  },
  "the search of a conversation": async () => {
    fill();
    await open("alice+bob");
    await click("Conversation options", /^Search in/);
    await until("it is there", () => page.querySelector(".panel input[type=search]") !== null);
  },
  "the details of a group": async () => {
    fill();
    await open("hike");
    await click("Group details");
    await until("they are there", () => page.querySelector(".panel") !== null);
  },
  "a poll that is written": async () => {
    fill();
    await open("hike");
    await click("New poll");
    await dialog();
  },
  "stickers to choose from": async () => {
    fill();
    await open("hike");
    await click("Stickers");
    await dialog();
    await until("they are there", () => page.querySelectorAll(".sticker-choice").length > 3);
  },
  "a voice message that is recorded": async () => {
    useRecorder();
    fill();
    await open("hike");
    await click("Record a voice message");
    await dialog();
    await shows("Recording");
  },
  "a voice message to send": async () => {
    useRecorder();
    fill();
    await open("hike");
    await click("Record a voice message", "Stop");
    await shows("Can be heard once");
  },
  "a time to send at": async () => {
    fill();
    await open("alice+bob");
    type("textarea", "Later");
    await until("it can be sent", () => named(/^Send later/)?.hasAttribute("disabled") === false);
    await click(/^Send later/);
    await dialog();
  },
  "a call that is planned": async () => {
    fill();
    await open("hike");
    await click("Conversation options", /^Schedule a call/);
    await dialog();
  },
  "the safety number": async () => {
    // Only browsers that can encrypt calls have one.
    vi.stubGlobal("RTCRtpScriptTransform", class {});
    fill();
    await open("alice+bob");
    await click("Conversation options", /safety number/i);
    await dialog();
  },
  "when messages vanish": async () => {
    fill();
    await open("alice+bob");
    await click("Conversation options", /[Vv]anishing/);
    await dialog();
  },
  "a question before blocking": async () => {
    fill();
    await open("alice+bob");
    await click("Conversation options", /^Block/);
    await dialog();
  },
  "a report": async () => {
    fill();
    await open("alice+bob");
    await click("Conversation options", /^Report/);
    await dialog();
  },
  "where a message is forwarded to": async () => {
    fill();
    await open("hike");
    await shows("Ridge for me too");
    menuOf("Ridge for me too");
    await click(/^Forward/);
    await dialog();
  },
  "who has read a message": async () => {
    fill();
    await open("hike");
    await shows("Ridge for me too");
    menuOf("Ridge for me too");
    await click(/^Read by/);
    await dialog();
  },
  "how a message was edited": async () => {
    fill();
    await open("hike");
    await shows("The ridge!");
    menuOf("The ridge!");
    await click(/[Ee]dit/);
    await dialog();
  },
  "the settings": async () => {
    fill();
    await open();
    await click("Settings");
    await dialog();
    await shows("Camera and microphone");
  },
  "the choice of devices": async () => {
    fill();
    await open("alice+bob");
    await click("Conversation options", "Camera and microphone");
    await dialog();
    await shows("Built-in camera");
  },
  "a call that rings": async () => {
    fill();
    await open("alice+bob");
    backend.calls.methodsOf("bob").startCall({ conversationId: "alice+bob", video: true, deviceId: "bobs" });
    await until("it rings", () => page.querySelector(".incoming") !== null);
  },
  "a call with somebody who is muted": async () => {
    fill();
    await inCall("alice+bob", "bob");
    backend.calls.methodsOf("bob").acceptCall({ callId: alice.calls.view().call?.id ?? "", deviceId: "bobs" });
    await until("he is muted", () => page.querySelector("[data-testid=peer-state]") !== null);
  },
  "the devices during a call": async () => {
    fill();
    await inCall("alice+bob", "bob");
    await click("Camera and microphone");
    await dialog();
  },
  "a call that is over": async () => {
    fill();
    await inCall("alice+bob", "bob");
    backend.calls.methodsOf("bob").declineCall({ callId: alice.calls.view().call?.id ?? "" });
    await until("it is over", () => alice.calls.view().phase === "ended");
  },
  "a group's call with a lobby": async () => {
    fill();
    await inGroupCall();
    await click(/^People in the call/);
    await shows("guest-eve");
  },
  "a small call beside the conversation": async () => {
    fill();
    await inGroupCall();
    await click("Make call smaller");
    await until("it is small", () => page.querySelector(".call-small") !== null);
  },
};

/** Elements by how they are written, with what is around them, and their style. */
const styles = new Map<string, CSSStyleDeclaration>();
const written = (element: Element | null): string => (element?.cloneNode() as Element | undefined)?.outerHTML ?? "";

/** Without style sheets of the page, elements that are written alike, in parents that are, are hidden alike. So jsdom computes the style of one, which takes it as long as all of axe's rules. */
function keepStyles(): void {
  const compute = getComputedStyle;
  vi.stubGlobal("getComputedStyle", (element: Element, pseudo?: string | null) => {
    const key = `${pseudo ?? ""}${written(element.parentElement)}${written(element)}`;
    const style = styles.get(key) ?? compute(element, pseudo);
    styles.set(key, style);
    return style;
  });
}

/** What axe says of the page as it is now. Colours and places are not computed here. */
async function findings(): Promise<string[]> {
  const { violations, passes } = await axe.run(document, { rules: { "color-contrast": { enabled: false } } });
  // It looked at something.
  expect(passes.length).toBeGreaterThan(5);
  return violations.map(({ id, impact, nodes }) => `${id} (${impact}): ${nodes.map(({ html }) => html.slice(0, 200)).join(" ")}`);
}

test("axe finds what is shown and not what is hidden, whatever came before", async () => {
  const found = async (dialog: string, around: string): Promise<string[]> => {
    page.innerHTML = `<main><h1>A</h1><p>B</p><ul><li>C</li></ul><${dialog} aria-label="D"><button></button></dialog><${around}><img src="e"></div></main>`;
    return (await findings()).map((finding) => finding.split(" ")[0] ?? "").sort();
  };
  for (let times = 0; times < 2; times++) {
    expect(await found("dialog open", "div")).toEqual(["button-name", "image-alt"]);
    expect(await found("dialog", "div")).toEqual(["image-alt"]);
    expect(await found("dialog open", "div hidden")).toEqual(["button-name"]);
    expect(await found("dialog", 'div style="visibility: hidden"')).toEqual([]);
  }
});

describe("axe finds nothing in", () => {
  test.each(Object.entries({ ...STATES, ...BY_NAME }))("%s", async (_, reach) => {
    await reach();
    expect(await findings()).toEqual([]);
  });

  test.each(Object.entries(STATES))("%s, in Arabic", async (_, reach) => {
    await language.choose("ar" satisfies LanguageCode);
    await reach();
    expect(document.documentElement.dir).toBe("rtl");
    expect(await findings()).toEqual([]);
  });
});
