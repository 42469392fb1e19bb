import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { h } from "preact";
import { renderToString } from "preact-render-to-string";
import { describe, expect, test, vi } from "vitest";
import type { Call, CallView, ConversationView, Message, ParleyClient, Upload, UserMessage } from "@parley/client";
import { CallBanner } from "../src/call-banner";
import { CallLobby } from "../src/call-lobby";
import { CallNotes } from "../src/call-notes";
import { CallTile } from "../src/call-tile";
import { ConversationItem } from "../src/conversation-item";
import { ConversationList } from "../src/conversation-list";
import { ForwardDialog } from "../src/forward-dialog";
import type { MessageActions } from "../src/message-menu";
import { MessageRow } from "../src/message-row";
import { PinBar } from "../src/pin-bar";
import { RequestBar } from "../src/request-bar";
import { ScheduledBar } from "../src/scheduled-bar";
import { PrivacySettings } from "../src/settings-privacy";
import { ScheduledCards } from "../src/scheduled-cards";
import { layOut } from "../src/timeline";
import { UploadList } from "../src/upload-list";
import { AttendanceAnswer, ScheduledCallSchema, ScheduledCallState } from "@parley/client/gen/parley/calls/v1/scheduled_pb";
import { conversation, member, message, own, ROOM } from "@parley/client/testing";
import { until, useWorld } from "./support";

const NOON = new Date(2026, 4, 15, 12, 0).getTime();
const nameOf = (userId: string): string => ({ bob: "Bob Berger" })[userId] ?? userId;
const viewer = { selfId: "alice", nameOf };
const nothing = (): void => undefined;
const ACTIONS: MessageActions = { reply: nothing, edit: nothing, unsend: nothing, forward: nothing, history: nothing, readers: nothing, report: nothing, react: nothing, pin: nothing, openMenu: nothing, jump: nothing };
/** Of a row in a list of one. */
const ALONE = { tabStop: true, position: 1, count: 1 };

/** What the library tells; the page makes its own line of it. */
const told = (key: UserMessage["key"]): UserMessage => ({ key, values: {}, line: "" });

function view(change: Partial<ConversationView> = {}, messages: Message[] = [message(1, { sendTimeMs: NOON })]): ConversationView {
  return { conversation: conversation(), messages, outgoing: [], hasOlder: false, own: own(), unread: 0, ...change };
}

/** What a reader hears of a piece of the page: its words, and the names of what has no words. */
function heard(html: string): string {
  const named = html.replace(/<[^>]*\baria-label="([^"]*)"[^>]*>/g, " [$1] ");
  return named.replace(/<[^>]+>/g, " ").replace(/\s+/g, " ").trim();
}

describe("pieces of the page", () => {
  const world = useWorld();

  async function ready(): Promise<ParleyClient> {
    const client = world.client("alice");
    await until("ready", () => client.messaging.ready && client.relations.settings !== undefined);
    return client;
  }

  const item = (client: ParleyClient, shown: ConversationView) =>
    heard(renderToString(h(ConversationItem, { client, view: shown, openId: "", nameOf, nowMs: NOON, onOpen: nothing, ...ALONE })));

  test("a poll is a group of choices, each with who chose it, and one's own can be taken back", async () => {
    const client = await ready();
    const poll = (multiple: boolean, mine: readonly string[]) => {
      const options = [{ text: "Tapas", userIds: ["bob", ...mine] }, { text: "Ramen", userIds: [] }];
      const content = { kind: "poll", question: "Where do we eat?", options, multiple } as const;
      const [, row] = layOut(view({}, [message(1, { sendTimeMs: NOON, content })]), "alice", NOON);
      return renderToString(h(MessageRow, { row: row!, tabStop: true, client, viewer, group: false, conversationId: ROOM, actions: ACTIONS }));
    };
    expect(heard(poll(false, ["alice"]))).toContain("Where do we eat? Choose one Tapas 2 2 votes: Bob Berger and you Ramen 0 0 votes Take my vote back");
    expect(poll(false, ["alice"]).match(/type="radio"[^>]*checked/g)).toHaveLength(1);
    expect(heard(poll(true, []))).toContain("Choose one or more Tapas 1 1 vote: Bob Berger Ramen");
    expect(poll(true, []).match(/type="checkbox"/g)).toHaveLength(2);
    expect(poll(true, [])).not.toContain("Take my vote back");
  });

  test("a sticker is a picture of its provider, with its words and its place; of another host it is words alone", async () => {
    const client = await ready();
    const shown = (url: string): string => {
      const content = { kind: "sticker", url, width: 480, height: 270, description: "A cat waves" } as const;
      const [, row] = layOut(view({}, [message(1, { sendTimeMs: NOON, content })]), "alice", NOON);
      return renderToString(h(MessageRow, { row: row!, tabStop: true, client, viewer, group: false, conversationId: ROOM, actions: ACTIONS }));
    };
    const [picture] = /<img[^>]*>/.exec(shown("https://stickers.example/wave.webp")) ?? [];
    for (const part of ['src="https://stickers.example/wave.webp"', 'alt="A cat waves"', 'width="240"', 'height="135"', 'loading="lazy"', 'referrerpolicy="no-referrer"']) expect(picture).toContain(part);
    for (const url of ["https://evil.example/wave.webp", ""]) {
      expect(shown(url)).not.toContain("<img");
      expect(heard(shown(url))).toContain("Sticker · A cat waves");
    }
  });

  test("what is opened once is words, which its recipients open, and which say who has", async () => {
    const client = await ready();
    const file = (contentType: string) => ({ id: "p", fileName: "secret.png", contentType, sizeBytes: 2048, width: 30, height: 20 });
    const shown = (change: Partial<Message>): string => {
      const once = message(1, { sendTimeMs: NOON, senderId: "bob", content: { kind: "text", text: "", entities: [] }, attachments: [file("image/png")], viewOnce: true, ...change });
      const [, row] = layOut(view({}, [once]), "alice", NOON);
      return renderToString(h(MessageRow, { row: row!, tabStop: true, client, viewer, group: false, conversationId: ROOM, actions: ACTIONS }));
    };
    expect(shown({})).toMatch(/<button[^>]*class="view-once"/);
    for (const html of [shown({}), shown({ openedBy: ["alice"] })]) expect(html).not.toMatch(/secret\.png|<img/);
    expect(heard(shown({}))).toContain("Photo, view once");
    expect(heard(shown({ attachments: [file("video/mp4")] }))).toContain("Video, view once");
    for (const [change, words] of [
      [{ openedBy: ["alice"], attachments: [] }, "View once Opened"],
      [{ attachments: [] }, "View once No longer there"],
      [{ senderId: "alice" }, "Photo, view once Not opened yet"],
      [{ senderId: "alice", openedBy: ["bob"] }, "Photo, view once Opened by Bob Berger"],
    ] as const) {
      expect(heard(shown(change as Partial<Message>))).toContain(words);
      expect(shown(change as Partial<Message>)).not.toMatch(/<button[^>]*class="view-once"/);
    }
  });

  test("a voice message is played in its place, and by its length alone where there is no sound", async () => {
    const client = await ready();
    const sound = { id: "s", fileName: "voice.weba", contentType: "audio/webm", sizeBytes: 2048, width: 0, height: 0 };
    const shown = (change: Partial<Message>): string => {
      const spoken = message(1, { sendTimeMs: NOON, senderId: "bob", content: { kind: "voice", lengthS: 12.4 }, attachments: [sound], ...change });
      const [, row] = layOut(view({}, [spoken]), "alice", NOON);
      return renderToString(h(MessageRow, { row: row!, tabStop: true, client, viewer, group: false, conversationId: ROOM, actions: ACTIONS }));
    };
    expect(shown({})).toMatch(/<button[^>]*class="voice-play"[^>]*aria-label="Play: Voice message · 0:12"/);
    expect(shown({})).not.toContain("voice.weba");
    expect(shown({ attachments: [] })).not.toContain("voice-play");
    expect(heard(shown({ attachments: [] }))).toContain("Voice message · 0:12");
    expect(shown({ viewOnce: true })).not.toContain("voice-play");
  });

  test("a row of the list says in words what its marks mean, and has a menu", async () => {
    const client = await ready();
    const row = item(client, view({ own: own({ pinned: true, muteEndMs: NOON + 1 }), unread: 3 }));
    for (const words of ["Bob Berger", "[Muted]", "[Pinned]", "[3 unread]", "[Options for Bob Berger]"]) expect(row).toContain(words);
    expect(item(client, view({ own: own({ markedUnread: true }) }))).toContain("[Marked as unread]");
  });

  test("a draft stands in the list, but for the conversation that is open", async () => {
    const client = await ready();
    client.drafts.set(ROOM, "half a thought");
    expect(item(client, view())).toContain("Draft: half a thought");
    const open = renderToString(h(ConversationItem, { client, view: view(), openId: ROOM, nameOf, nowMs: NOON, onOpen: nothing, ...ALONE }));
    expect(heard(open)).not.toContain("Draft:");
  });

  test("the inbox counts requests and what is archived, and shows neither", async () => {
    const client = await ready();
    const views = [view(), view({ conversation: conversation({ id: "r" }), own: own({ request: "pending" }) }), view({ conversation: conversation({ id: "a" }), own: own({ archived: true }) })];
    const list = heard(renderToString(h(ConversationList, { client, views, folder: "inbox", setFolder: nothing, openId: "", nameOf, nowMs: NOON, onOpen: nothing })));
    expect(list).toMatch(/Message requests 1/);
    expect(list).toMatch(/Archived 1$/);
    expect(list.split("Options for")).toHaveLength(2);
  });

  test("a request offers what one can do, a refusal only a sentence", async () => {
    const client = await ready();
    const face = { id: "bob", name: "Bob Berger", peer: "bob", picture: "" };
    const bar = (permission: "request" | "blocked" | "refused") =>
      heard(renderToString(h(RequestBar, { client, view: view(), face, permission, onReport: nothing, onClose: nothing })));
    expect(bar("request")).toMatch(/Bob Berger would like to write to you\. .* Accept Decline Block Report$/);
    expect(bar("blocked")).toMatch(/You blocked Bob Berger\..* Unblock$/);
    expect(bar("refused")).toBe("You cannot write to Bob Berger at the moment.");
  });

  const bubble = (client: ParleyClient, shown: ConversationView, group = false) => {
    const row = layOut(shown, "alice", NOON).at(-1);
    if (!row) throw new Error("no row");
    return heard(renderToString(h(MessageRow, { row, tabStop: true, client, viewer, group, conversationId: ROOM, actions: ACTIONS })));
  };

  test("a message says how far it got, that it vanishes, and what it carries", async () => {
    const client = await ready();
    const members = [member("alice"), member("bob", { deliveredSeq: 1 })];
    const file = { id: "f", fileName: "notes.txt", contentType: "text/plain", sizeBytes: 2048, width: 0, height: 0 };
    const picture = { id: "p", fileName: "view.png", contentType: "image/png", sizeBytes: 2048, width: 30, height: 20 };
    const sent = message(1, { senderId: "alice", sendTimeMs: NOON, expireTimeMs: NOON + 300_000, attachments: [file, picture] });
    const shown = bubble(client, view({ conversation: conversation({ members }) }, [sent]));
    for (const words of ["[Delivered]", "[Vanishes May 15, 2026", "[Download notes.txt, 2 kB]", "[Open the picture view.png]"]) expect(shown).toContain(words);
  });

  test("the latest pinned message stands above the conversation, and which of how many it is", () => {
    const bar = (pinned: readonly number[]) => {
      const shown = view({ conversation: conversation({ pinned: pinned.map((seq, i) => ({ seq, pinTimeMs: 9 - i })) }) }, [message(1), message(2, { content: { kind: "unsent" } })]);
      return heard(renderToString(h(PinBar, { view: shown, viewer, jump: nothing })));
    };
    expect(bar([1])).toBe("[Pinned messages] 1");
    expect(bar([2, 1, 7])).toBe("[Pinned messages] 1 1 of 2");
    expect(bar([7])).toBe("[Pinned messages] An earlier message");
    expect([bar([]), bar([2])]).toEqual(["", ""]);
  });

  test("what waits for its time is counted above the field, and what was not sent comes first", async () => {
    const client = await ready();
    const { conversationId: id } = world.backend.openDirect("alice", "bob");
    const bar = () => heard(renderToString(h(ScheduledBar, { client, conversation: conversation({ id }), viewer })));
    expect(bar()).toBe("");
    for (const text of ["one", "two"]) await client.scheduled.schedule(id, { text }, Date.now() + 3_600_000);
    expect(bar()).toBe("2 scheduled messages");
    await world.client("bob").relations.block("alice");
    await client.scheduled.sendNow(client.scheduled.of(id)[0]!);
    await until("it is refused", () => client.scheduled.of(id)[0]?.state === "refused");
    expect(bar()).toBe("1 scheduled message was not sent");
  });

  test("a copy of another message says so, and where it may go is chosen by name", async () => {
    const client = await ready();
    expect(bubble(client, view({}, [message(1, { sendTimeMs: NOON, forwarded: true })]))).toContain("Forwarded 1");
    expect(bubble(client, view({}, [message(1, { sendTimeMs: NOON })]))).not.toContain("Forwarded");
    world.backend.openDirect("alice", "bob");
    await until("it is there", () => client.messaging.store.list().length === 1);
    const dialog = heard(renderToString(h(ForwardDialog, { client, message: message(1), viewer, onClose: nothing })));
    for (const words of ["Forward to", "[Find a conversation]", "Bob Berger", "Cancel Forward"]) expect(dialog).toContain(words);
  });

  test("a text that the network has covered with stars says so", async () => {
    const client = await ready();
    const of = (content: Message["content"]) => bubble(client, view({}, [message(1, { sendTimeMs: NOON, content })]));
    expect(of({ kind: "text", text: "you ***", entities: [], masked: true })).toContain("you *** words hidden");
    expect(of({ kind: "text", text: "you ***", entities: [] })).not.toContain("hidden");
  });

  test("a picture that could hold a program is a file", async () => {
    const client = await ready();
    const drawing = { id: "s", fileName: "x.svg", contentType: "image/svg+xml", sizeBytes: 10, width: 1, height: 1 };
    expect(bubble(client, view({}, [message(1, { sendTimeMs: NOON, attachments: [drawing] })]))).toContain("[Download x.svg, 10 bytes]");
  });

  test("files on their way tell their progress, and why they cannot go", async () => {
    const client = await ready();
    const facts = { id: "u", fileName: "view.png", contentType: "image/png", sizeBytes: 200, width: 0, height: 0 };
    const upload = (change: Partial<Upload>): Upload => ({ ...facts, state: "putting", sentBytes: 50, problem: undefined, attachment: undefined, ...change });
    const tray = (one: Upload) => renderToString(h(UploadList, { client, uploads: [one] }));
    expect(tray(upload({}))).toMatch(/role="progressbar"[^>]*aria-valuenow="25"/);
    expect(heard(tray(upload({ state: "failed", problem: told("file_not_sent") })))).toContain("The file could not be sent. Check the connection and try again. [Try view.png again]");
    expect(heard(tray(upload({ state: "refused", problem: told("file_empty") })))).not.toContain("Try view.png again");
  });

  test("the settings say what each choice means", async () => {
    const client = await ready();
    const shown = () => heard(renderToString(h(PrivacySettings, { client })));
    expect(shown()).toContain("Others see what has reached you");
    await client.relations.update({ sendReceipts: false, messages: "nobody" });
    expect(shown()).toContain("Others learn neither what has reached you nor what you have read.");
    expect(shown()).toContain("Nobody new can write to you. Your conversations go on.");
  });

  test("a tile says in words what its signs mean", () => {
    const tile = heard(renderToString(h(CallTile, { userId: "bob", name: "Bob Berger", video: undefined, muted: true, hand: true })));
    expect(tile).toContain("Bob Berger , muted, camera off, hand raised");
  });

  test("a weak network is told to whose it is, and nothing else is", async () => {
    const client = await ready();
    const call = { ...client.calls.view(), phase: "active" as const, encryption: "on" as const };
    const notes = (change: object) => heard(renderToString(h(CallNotes, { client, call: { ...call, ...change } })));
    expect(notes({ weak: true })).toBe("Your network is weak");
    expect(notes({ weak: false })).toBe("");
  });

  test("who cannot decrypt is named, and nothing is sent to them before the user says so", async () => {
    const client = await ready();
    const call = { ...client.calls.view(), phase: "active" as const };
    const notes = (encryption: CallView["encryption"], unable: string[] = []) => heard(renderToString(h(CallNotes, { client, call: { ...call, encryption, unable }, nameOf: () => "Bob" })));
    expect(notes("on")).toBe("");
    expect(notes("starting")).toBe("");
    expect(notes("unreadable")).toBe("Some of what comes cannot be decrypted.");
    expect(notes("blocked", ["bob"])).toBe("Bob cannot take part in encrypted calls, and does not see or hear you. Send unencrypted");
    expect(notes("blocked", [client.userId])).toContain("nobody sees or hears you. Confirm it there, in the settings.");
    expect(notes("clear", ["bob"])).toBe("What you send is not encrypted end to end: Bob cannot decrypt it.");
    expect(notes("impossible")).toContain("This browser cannot encrypt");
  });

  test("a picture that cannot be decoded is told to both sides", async () => {
    const client = await ready();
    const call = { ...client.calls.view(), phase: "active" as const, encryption: "on" as const };
    const notes = (unseen: CallView["unseen"]) => heard(renderToString(h(CallNotes, { client, call: { ...call, unseen }, nameOf: () => "Bob" })));
    expect(notes({ of: [], by: [] })).toBe("");
    expect(notes({ of: [{ userId: "bob", screen: false }], by: [] })).toBe("Your device cannot show the camera of Bob: it does not know the video format.");
    expect(notes({ of: [], by: [{ userId: "bob", screen: true }] })).toBe("Bob cannot see your screen: their device does not know its video format.");
  });

  test("who waits to be let in is named to all, and a host decides", async () => {
    const client = await ready();
    const lobbyOfOne = [{ userId: "bob", linkId: "link", knockTimeMs: 1 }];
    const times = { answerTimeMs: 1, endTimeMs: undefined };
    const call: Call = { id: "call", conversationId: ROOM, callerId: "alice", video: false, state: "active", endReason: undefined, participants: [], version: 1, group: true, locked: false, mediaEpoch: 0, lobby: lobbyOfOne, ...times };
    const lobby = (leads: boolean, shown = call) => heard(renderToString(h(CallLobby, { client, call: shown, leads, nameOf })));
    expect(lobby(true)).toContain("Bob Berger [Do not let Bob Berger in] [Let Bob Berger in] Let in");
    expect(lobby(false)).toMatch(/Bob Berger$/);
    expect(lobby(true, { ...call, lobby: [] })).toBe("");
  });

  test("a scheduled call says when, who comes, and what one can do; at its time, that it can be joined", async () => {
    const client = await ready();
    const cards = (peer?: string) => heard(renderToString(h(ScheduledCards, { client, conversation: conversation({ kind: peer ? "direct" : "group" }), peer, onDialog: nothing })));
    const tell = (version: bigint, state: ScheduledCallState, group = true): void =>
      client.scheduledCalls.receive(
        create(ScheduledCallSchema, {
          scheduledCallId: "friday",
          conversationId: ROOM,
          makerUserId: "bob",
          title: "Rehearsal",
          startTime: timestampFromMs(NOON),
          lengthS: 3600,
          group,
          version,
          state,
          answers: [{ userId: "bob", answer: AttendanceAnswer.YES }],
        }),
      );
    expect(cards()).toBe("");
    tell(1n, ScheduledCallState.PLANNED);
    // The code of it comes with the first one.
    await vi.waitFor(() => expect(cards()).not.toBe(""), { timeout: 30_000 });
    for (const words of ["Rehearsal", "an hour", "1 coming", "Yes Maybe No", "[Options for Rehearsal]"]) expect(cards()).toContain(words);
    tell(2n, ScheduledCallState.OPEN);
    expect(cards()).toContain("It is time. Everybody here can join.");
    expect(cards()).not.toContain("Maybe");
    tell(3n, ScheduledCallState.OPEN, false);
    expect(cards("bob")).toMatch(/It is time for this call\..* Call$/);
    tell(4n, ScheduledCallState.ENDED);
    expect(cards()).toBe("");
  });

  test("a running call in the group is shown with who is in it, and the ways in", async () => {
    world.backend.createConversation({ conversationId: ROOM, kind: 2, title: "Choir", members: [{ userId: "alice" }, { userId: "bob" }] });
    const client = await ready();
    const { call } = world.backend.calls.methodsOf("bob").startCall({ conversationId: ROOM, video: true, deviceId: "theirs" });
    const banner = () => heard(renderToString(h(CallBanner, { client, conversation: conversation({ kind: "group" }), viewer })));
    await until("it rings", () => client.calls.view().phase === "ringing");
    expect(banner()).toBe("");
    client.calls.decline();
    await until("it runs without her", () => banner().includes("Bob Berger"));
    expect(banner()).toContain("Video call Bob Berger");
    expect(banner()).toContain("[Join without camera]");
    world.backend.calls.methodsOf("alice").joinCall({ callId: call.callId, deviceId: "her-phone" });
    await until("it runs on her phone", () => banner().includes("Move here"));
    expect(item(client, view({ conversation: conversation({ kind: "group" }) }))).toContain("[Call, 2 in it]");
  });
});
