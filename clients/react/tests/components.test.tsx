import type { ParleyClient } from "@parley/client";
import { conversation, message, MockBackend, own } from "@parley/client/testing";
import { Code, ConnectError } from "@connectrpc/connect";
import { create } from "@bufbuild/protobuf";
import { PollContentSchema, PollVotesSchema, StickerContentSchema, TextContentSchema, VoiceContentSchema } from "@parley/client/gen/parley/messaging/v1/messages_pb";
import { LimitsSchema } from "@parley/client/gen/parley/messaging/v1/relations_pb";
import { type ReactElement, useState } from "react";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { Call, CallButtons, Composer, ConversationList, type Labels, ParleyProvider, Thread } from "../src/index.js";
import { TrackSound } from "../src/call-tile.js";
import { aLongTalk, clientOf, someDays, text } from "../stories/world.js";
import { button, draw, press, type, until } from "./support.js";

let backend: MockBackend;
let alice: ParleyClient;
let ids: ReturnType<typeof someDays>;

beforeEach(() => {
  backend = new MockBackend();
  ids = someDays(backend);
  alice = clientOf(backend, "alice");
});
afterEach(() => alice.stop());

async function show(element: ReactElement, labels?: Partial<Labels>): Promise<HTMLElement> {
  void alice.start();
  await until("everything is here", () => alice.current && alice.relations.settings);
  return draw(<ParleyProvider client={alice} locale="en" labels={labels}>{element}</ParleyProvider>).box;
}

const field = (box: HTMLElement): Promise<HTMLTextAreaElement> => until("the field is there", () => box.querySelector("textarea"));
const rows = (box: HTMLElement): HTMLElement[] => [...box.querySelectorAll<HTMLElement>("[data-seq]")];

test("the list is one stop of Tab, in which arrow keys move and Enter opens", async () => {
  const opened: string[] = [];
  const box = await show(<ConversationList onSelect={(id) => opened.push(id)} />);
  const options = await until("both are there", () => {
    const found = [...box.querySelectorAll<HTMLElement>("[role=option]")];
    return found.length === 2 ? found : undefined;
  });
  expect(options.map(({ tabIndex }) => tabIndex)).toEqual([0, -1]);
  options[0]!.focus();
  press(options[0]!, "ArrowDown");
  await until("the second has the focus", () => document.activeElement === options[1] && options[1]!.tabIndex === 0 && options[0]!.tabIndex === -1);
  press(options[1]!, "Enter");
  expect(opened).toEqual([ids.bob]);
  press(options[1]!, "Home");
  await until("the first has the focus", () => document.activeElement === options[0]);
});

test("of ten thousand conversations some dozens are drawn, and the keys go through all of them", async () => {
  const views = Array.from({ length: 10_000 }, (_, n) => ({ conversation: conversation({ id: `c${n}` }), messages: [], outgoing: [], hasOlder: false, own: own(), unread: 0 }));
  vi.spyOn(alice.messaging.store, "list").mockReturnValue(views);
  const box = await show(<ConversationList onSelect={() => undefined} />);
  const options = (): HTMLElement[] => [...box.querySelectorAll<HTMLElement>("[role=option]")];
  await until("they are there", () => options()[0]?.getAttribute("aria-setsize") === "10000" && options());
  expect(options().length).toBeLessThan(60);
  options()[0]!.focus();
  press(options()[0]!, "End");
  const last = await until("the last has the focus", () => document.activeElement?.getAttribute("aria-posinset") === "10000" && document.activeElement);
  expect(last.getAttribute("data-conversation")).toBe("c9999");
  expect(options().length).toBeLessThan(60);
  expect(options().filter(({ tabIndex }) => tabIndex === 0)).toEqual([last]);
  press(last, "ArrowUp");
  await until("the one before has it", () => document.activeElement?.getAttribute("aria-posinset") === "9999");
});

test("a row of the list says whose it is, what was said, and how much is unread", async () => {
  const box = await show(<ConversationList selected={ids.hike} onSelect={() => undefined} />);
  const row = await until("names are known", () => [...box.querySelectorAll("[role=option]")].find((found) => found.textContent?.includes("Bob Lindqvist")));
  expect(row.textContent).toContain("The programme");
  expect(row.querySelector(".parley-badge")?.getAttribute("aria-label")).toBe("3 unread messages");
  expect(box.querySelector("[aria-selected=true]")?.textContent).toContain("You: Ridge for me too");
  alice.messaging.send(ids.bob, "Hi");
  await until("one's own is there", () => row.textContent?.includes("You: Hi"));
});

test("a thread has days, texts, who said it, edits, what was taken back, answers, reactions and files", async () => {
  const box = await show(<><Thread conversationId={ids.hike} /><Thread conversationId={ids.bob} /></>);
  await until("both are there", () => rows(box).length === 8 && box.textContent?.includes("Chidi Okafor"));
  const [plan, edited, slip, answer] = rows(box);
  expect(plan!.textContent).toContain("Shall we take the ridge or the valley?");
  expect(plan!.querySelector(".parley-reaction")?.getAttribute("aria-label")).toBe("👍 by You and Bob Lindqvist");
  expect(edited!.querySelector(".parley-meta")?.textContent).toContain("edited");
  expect(slip!.textContent).toContain("This message was taken back");
  expect(slip!.textContent).not.toContain("Wrong group");
  expect(answer!.querySelector(".parley-quote")?.textContent).toContain("Chidi Okafor Shall we take");
  expect(button(box, "Open programme-friday-evening.pdf, 339.8 kB")).toBeDefined();
  await until("the days are named", () => [...box.querySelectorAll(".parley-day")].some((day) => /^(?:today|yesterday)$/.test(day.textContent ?? "")));
});

test("a poll shows its question, and how many chose each option", async () => {
  const asked = backend.post(ids.hike, "bob", { case: "poll", value: create(PollContentSchema, { question: "Which way?", options: ["The ridge", "The valley"] }) });
  backend.changeMessage(ids.hike, Number(asked.seq), { pollVotes: [create(PollVotesSchema, { userIds: ["bob", "alice"] })] });
  const box = await show(<Thread conversationId={ids.hike} />);
  await until("it is there", () => rows(box).at(-1)?.textContent?.includes("Poll: Which way?"));
  const options = [...rows(box).at(-1)!.querySelectorAll(".parley-poll-option")];
  expect(options.map((option) => option.textContent)).toEqual(["The ridge2", "The valley0"]);
  expect(options.map((option) => option.querySelector("[role=img]")?.getAttribute("aria-label"))).toEqual(["2 votes, yours too", "0 votes"]);
});

test("a poll takes one's vote, another in its place, and none", async () => {
  const asked = backend.post(ids.hike, "bob", { case: "poll", value: create(PollContentSchema, { question: "Which way?", options: ["The ridge", "The valley"] }) });
  const box = await show(<Thread conversationId={ids.hike} />);
  const choices = (): HTMLInputElement[] => [...box.querySelectorAll<HTMLInputElement>(".parley-poll input")];
  const votes = (): string[] => [...box.querySelectorAll(".parley-poll [role=img]")].map((found) => found.getAttribute("aria-label") ?? "");
  await until("it is there", () => choices().length === 2 && choices()[0]?.type === "radio");
  for (const [choice, shown] of [[1, "0 votes|1 vote, yours too"], [0, "1 vote, yours too|0 votes"]] as const) {
    choices()[choice]?.click();
    await until("the vote is counted", () => votes().join("|") === shown && choices()[choice]?.checked);
  }
  button(box, "Take the vote back")?.click();
  await until("it is taken back", () => votes().join("|") === "0 votes|0 votes" && !choices().some(({ checked }) => checked));
  expect(asked.seq).toBeGreaterThan(0n);
});

test("what is opened once is opened over the page, and its address is forgotten", async () => {
  const file = backend.files.add({ fileName: "a.png", contentType: "image/png" }, new Blob(["x"]));
  backend.post(ids.hike, "bob", text(""), { init: { viewOnce: true, attachments: [file] } });
  const openOnce = vi.spyOn(alice.downloads, "openOnce").mockRejectedValueOnce(new Error("down")).mockResolvedValue("/once.png");
  const box = await show(<Thread conversationId={ids.hike} />);
  const open = await until("it can be opened", () => button(box, "Open once"));
  expect(box.querySelector(".parley-file[aria-label*='a.png']")).toBeNull();
  open.click();
  await until("it says that it failed", () => box.querySelector("[role=alert]") && !open.disabled);
  open.click();
  const picture = await until("it is open", () => box.querySelector<HTMLImageElement>("dialog img"));
  expect([picture.getAttribute("src"), openOnce.mock.calls.length]).toEqual(["/once.png", 2]);
  button(box, "Close")?.click();
  await until("it is closed", () => box.querySelector("dialog") === null);
});

test("a call sounds from the loudspeaker that was chosen, and from the browser's own when that goes", async () => {
  const sinks: string[] = [];
  const setSinkId = vi.fn((id: string) => (sinks.push(id), id === "gone" ? Promise.reject(new Error("no such device")) : Promise.resolve()));
  Object.assign(HTMLMediaElement.prototype, { setSinkId });
  vi.stubGlobal("MediaStream", class {});
  await alice.calls.chooseDevice("speaker", "desk");
  await show(<TrackSound track={{ id: "sound" } as MediaStreamTrack} />);
  await until("it plays there", () => sinks.join() === "desk");
  await alice.calls.chooseDevice("speaker", "gone");
  await until("it plays on the browser's own", () => sinks.slice(-2).join() === "gone,");
  const before = sinks.length;
  await alice.calls.chooseDevice("speaker", "");
  await until("the choice is let go", () => sinks.length > before);
  Reflect.deleteProperty(HTMLMediaElement.prototype, "setSinkId");
  vi.unstubAllGlobals();
});

test("a sticker is a picture of a host that the service names, and words otherwise", async () => {
  const sticker = { url: "https://stickers.example/wave.webp", width: 480, height: 270, description: "A cat waves" };
  backend.post(ids.hike, "bob", { case: "sticker", value: create(StickerContentSchema, sticker) });
  backend.post(ids.hike, "bob", { case: "sticker", value: create(StickerContentSchema, { ...sticker, url: "https://evil.example/wave.webp" }) });
  const box = await show(<Thread conversationId={ids.hike} />);
  await until("both are there", () => rows(box).at(-1)?.textContent?.includes("Sticker: A cat waves") && box.querySelector(".parley-sticker") !== null);
  const pictures = [...box.querySelectorAll<HTMLImageElement>(".parley-sticker")];
  expect(pictures.map(({ src, alt, width, height }) => [src, alt, width, height])).toEqual([[sticker.url, "A cat waves", 240, 135]]);
  expect(pictures[0]?.getAttribute("referrerpolicy")).toBe("no-referrer");
});

test("a link's preview is words with the host that opens, and loads nothing", async () => {
  const url = "https://news.example/a";
  const preview = { url, title: "It rains", description: "And it pours", siteName: "The News" };
  backend.post(ids.hike, "bob", { case: "text", value: create(TextContentSchema, { text: url, preview }) });
  backend.post(ids.hike, "bob", { case: "text", value: create(TextContentSchema, { text: "bad", preview: { ...preview, url: "javascript:alert(1)" } }) });
  const box = await show(<Thread conversationId={ids.hike} />);
  await until("both are there", () => rows(box).at(-1)?.textContent?.includes("bad") && box.querySelector(".parley-card") !== null);
  const cards = [...box.querySelectorAll<HTMLAnchorElement>(".parley-card")];
  expect(cards.map(({ href, textContent }) => [href, textContent])).toEqual([[url, "news.example · The NewsIt rainsAnd it pours"]]);
  expect(cards[0]?.querySelector("img")).toBeNull();
});

test("one's own message says how far it came", async () => {
  const bob = clientOf(backend, "bob");
  void bob.start();
  const box = await show(<Thread conversationId={ids.bob} />);
  alice.messaging.send(ids.bob, "Seen?");
  const own = (): HTMLElement | undefined => rows(box).find((row) => row.textContent?.includes("Seen?"));
  await until("it was delivered", () => own()?.querySelector(".parley-receipt")?.textContent === "Delivered");
  await bob.messaging.markRead(ids.bob);
  await until("it was read", () => own()?.querySelector(".parley-receipt")?.textContent === "Read");
  bob.stop();
});

test("what one sees is read: only in a page that has the user's attention", async () => {
  const focus = vi.spyOn(document, "hasFocus").mockReturnValue(false);
  const box = await show(<Thread conversationId={ids.bob} />);
  await until("it is drawn", () => rows(box).length === 4);
  expect(backend.requests["markRead"]).toBeUndefined();
  focus.mockReturnValue(true);
  dispatchEvent(new Event("focus"));
  await until("it is read", () => alice.messaging.store.get(ids.bob)?.unread === 0 && backend.requests["markRead"]);
});

test("what others write is read out, once, and what was there is not", async () => {
  const box = await show(<Thread conversationId={ids.bob} />);
  await until("it is drawn", () => rows(box).length === 4);
  const log = box.querySelector("[role=log]")!;
  expect(log.textContent).toBe("");
  backend.post(ids.bob, "bob", text("Are you there?"));
  await until("it is read out", () => log.textContent === "Bob Lindqvist: Are you there?");
  alice.messaging.send(ids.bob, "Yes");
  await until("it is sent", () => rows(box).length === 6);
  await until("one's own is not", () => log.textContent === "");
});

test("of ten thousand messages a screen is drawn, and a new one draws no other again", async () => {
  const many = aLongTalk(backend, 10_000);
  const box = await show(<Thread conversationId={many} />);
  await alice.messaging.loadUntil(many, 1);
  await until("the last is there", () => box.textContent?.includes("Message 10000"));
  await until("nothing older is offered, and names are known", () => !button(box, "Show earlier messages") && box.textContent?.includes("Bob Lindqvist"));
  expect(rows(box).length).toBeLessThan(80);
  const touched = new Set<string>();
  const keyOf = (node: Node): string | undefined => (node instanceof Element ? node : node.parentElement)?.closest<HTMLElement>("[data-key]")?.dataset.key;
  const observer = new MutationObserver((changes) => {
    for (const { target, addedNodes } of changes) for (const node of [target, ...addedNodes]) touched.add(keyOf(node) ?? "");
  });
  observer.observe(box.querySelector(".parley-message-list")!, { subtree: true, characterData: true, childList: true, attributes: true });
  backend.post(many, "bob", text("One more"));
  await until("it is there", () => box.textContent?.includes("One more"));
  touched.delete("");
  expect(touched.size).toBe(1);
  observer.disconnect();
});

test("a message that cannot be sent says so, and is tried again or deleted", async () => {
  backend.faults.set("sendMessage", new ConnectError("no", Code.InvalidArgument));
  const box = await show(<><Thread conversationId={ids.bob} /><Composer conversationId={ids.bob} /></>);
  alice.messaging.send(ids.bob, "Refused");
  await until("it failed", () => box.textContent?.includes("1 message was not sent."));
  // The same would be refused again.
  expect(button(box, "Try again")).toBeUndefined();
  (await until("it can be deleted", () => button(box, "Delete"))).click();
  await until("it is gone", () => !box.textContent?.includes("Refused"));
});

test("Enter sends, with Shift it does not, nor while a word is composed; the draft goes with it", async () => {
  const box = await show(<Composer conversationId={ids.bob} />);
  const written = await field(box);
  const send = await until("the button is there", () => button(box, "Send"));
  expect(send.disabled).toBe(true);
  type(written, "Hello");
  await until("it can be sent", () => !send.disabled);
  expect(alice.drafts.get(ids.bob)).toBe("Hello");
  press(written, "Enter", { shiftKey: true });
  press(written, "Enter", { isComposing: true });
  expect(backend.requests["sendMessage"]).toBeUndefined();
  await until("the others are told", () => backend.requests["setTyping true"] === 1);
  press(written, "Enter");
  await until("it is sent", () => alice.messaging.store.get(ids.bob)?.messages.at(-1)?.content.kind === "text" && backend.requests["sendMessage"] === 1);
  await until("the field is empty", () => written.value === "");
  expect(alice.drafts.get(ids.bob)).toBe("");
});

test("a text is as long as the service takes, in characters and not in units", async () => {
  backend.limits = create(LimitsSchema, { ...backend.limits, textChars: 10 });
  const box = await show(<Composer conversationId={ids.bob} />);
  const written = await field(box);
  type(written, "🎻".repeat(10));
  await until("it fits", () => button(box, "Send")?.disabled === false && box.textContent?.includes("0 characters left"));
  type(written, "🎻".repeat(12));
  await until("it does not", () => button(box, "Send")?.disabled && box.textContent?.includes("Too long by 2 characters"));
  expect(written.getAttribute("aria-invalid")).toBe("true");
  press(written, "Enter");
  expect(backend.requests["sendMessage"]).toBeUndefined();
});

test("an answer is written to a message, or ended with Escape", async () => {
  const Both = (): ReactElement => {
    const [replyTo, setReplyTo] = useState<Parameters<NonNullable<Parameters<typeof Thread>[0]["onReply"]>>[0]>();
    return <><Thread conversationId={ids.bob} onReply={setReplyTo} /><Composer conversationId={ids.bob} replyTo={replyTo} onReplyEnd={() => setReplyTo(undefined)} /></>;
  };
  const box = await show(<Both />);
  const written = await field(box);
  await until("all are there", () => rows(box).length === 4);
  const reply = await until("one can answer", () => button(box, "Reply"));
  reply.click();
  await until("it says to what", () => box.querySelector(".parley-answering")?.textContent?.includes("Did you get the tickets?"));
  press(written, "Escape");
  await until("it is ended", () => !box.querySelector(".parley-answering"));
  reply.click();
  await until("it is there again", () => box.querySelector(".parley-answering"));
  type(written, "I did");
  await until("it can be sent", () => button(box, "Send")?.disabled === false);
  press(written, "Enter");
  await until("it answers the first", () => alice.messaging.store.get(ids.bob)?.messages.at(-1)?.replyToSeq === 1);
  await until("the next is no answer", () => !box.querySelector(".parley-answering"));
});

test("to somebody who takes no messages one does not write", async () => {
  const box = await show(<Composer conversationId={ids.bob} />);
  await field(box);
  vi.spyOn(alice.messaging, "isWriteRefused").mockReturnValue(true);
  alice.showNotice("something happened");
  await until("it says so", () => box.textContent?.includes("You cannot write to Bob Lindqvist at the moment."));
  expect(box.querySelector("textarea")).toBeNull();
});

test("a call is placed, rings at the other side, runs with names, is muted and ends", async () => {
  const bob = clientOf(backend, "bob");
  void bob.start();
  await until("Bob is there", () => bob.current);
  const box = await show(<><CallButtons conversationId={ids.bob} /><Call /></>);
  (await until("one can call", () => button(box, "Video call Bob Lindqvist"))).click();
  await until("it rings there", () => bob.calls.view().phase === "ringing" && box.textContent?.includes("Ringing…"));
  expect(button(box, "Video call Bob Lindqvist")?.disabled).toBe(true);
  bob.calls.accept(false);
  await until("it runs", () => alice.calls.view().connection === "connected" && box.querySelectorAll(".parley-tile").length === 2);
  expect([...box.querySelectorAll(".parley-tile bdi")].map(({ textContent }) => textContent)).toEqual(["Bob Lindqvist", "You"]);
  (await until("one can hang up", () => button(box, "Hang up"))).click();
  await until("it is over", () => box.textContent?.includes("Call ended"));
  bob.stop();
});

test("a call that rings can be declined, or answered with video", async () => {
  const box = await show(<Call />);
  const ring = (): unknown => backend.calls.methodsOf("bob").startCall({ conversationId: ids.bob, video: true, deviceId: "theirs" });
  ring();
  (await until("it rings", () => button(box, "Decline"))).click();
  await until("it is gone", () => box.textContent === "");
  ring();
  await until("it says who", () => box.querySelector("[role=alert]")?.textContent === "Video call from Bob Lindqvist");
  button(box, "Answer with video")!.click();
  await until("it runs", () => alice.calls.view().phase === "active" && alice.calls.view().video);
});

test("all words can be one's own, and dates are the locale's", async () => {
  const box = await show(<Thread conversationId={ids.hike} labels={{ edited: "bearbeitet" }} />, { unsent: "zurückgenommen" });
  await until("both are there", () => box.textContent?.includes("bearbeitet") && box.textContent.includes("zurückgenommen"));
});

test("stickers are found, reached by arrow keys, and sent as an answer; without a provider there are none", async () => {
  const sticker = (description: string, host = "stickers.example") => ({ url: `https://${host}/${description}.gif`, width: 480, height: 240, description });
  const found = [sticker("cat"), sticker("dog"), sticker("evil", "evil.example")];
  const asked: string[] = [];
  const search = async (words: string) => {
    asked.push(words);
    return found.filter(({ description }) => description.includes(words));
  };
  const provider = { search, credit: "Powered by somebody" };
  const ended: string[] = [];
  const answered = message(2, { conversationId: ids.hike });
  const box = await show(
    <>
      <Composer conversationId={ids.hike} replyTo={answered} onReplyEnd={() => ended.push("ended")} stickers={provider} />
      <div className="without">
        <Composer conversationId={ids.bob} />
      </div>
    </>,
  );
  const opener = await until("it can be opened", () => button(box, "Stickers"));
  expect(button(box.querySelector<HTMLElement>(".without")!, "Stickers")).toBeUndefined();
  opener.click();
  const choices = (): HTMLElement[] => [...box.querySelectorAll<HTMLElement>(".parley-sticker-choice")];
  await until("they are there", () => choices().length === 2 && opener.getAttribute("aria-expanded") === "true");
  expect(choices().map((choice) => [choice.getAttribute("aria-label"), choice.tabIndex])).toEqual([["cat", 0], ["dog", -1]]);
  expect(box.textContent).toContain("Powered by somebody");
  choices()[0]!.focus();
  press(choices()[0]!, "ArrowRight");
  expect(document.activeElement).toBe(choices()[1]);
  choices()[1]!.click();
  await until("it is sent", () => backend.stored(ids.hike).messages.at(-1)?.content.case === "sticker");
  expect(backend.stored(ids.hike).messages.at(-1)).toMatchObject({ replyToSeq: 2n, content: { value: { url: found[1]!.url } } });
  await until("it is closed, and the field has the focus", () => choices().length === 0 && document.activeElement?.tagName === "TEXTAREA");
  expect([ended, asked]).toEqual([["ended"], [""]]);
  opener.click();
  const searchField = await until("it is open again", () => box.querySelector<HTMLElement>(".parley-sticker-search"));
  press(searchField, "Escape");
  await until("it is closed", () => box.querySelector(".parley-stickers") === null);
});

test("a voice message that can be heard once is played, once it is opened", async () => {
  const sound = backend.files.add({ fileName: "voice.ogg", contentType: "audio/ogg" }, new Blob(["a voice"]));
  const value = create(VoiceContentSchema, { attachmentId: sound.attachmentId, length: { seconds: 3n } });
  backend.post(ids.hike, "bob", { case: "voice", value }, { init: { viewOnce: true, attachments: [sound] } });
  const box = await show(<Thread conversationId={ids.hike} />);
  (await until("it can be opened", () => button(box, "Open once"))).click();
  const player = await until("it plays", () => box.querySelector("audio"));
  expect([player.getAttribute("aria-label"), box.querySelector(".parley-viewer img")]).toEqual(["View once", null]);
});
