import { h } from "preact";
import { renderToString } from "preact-render-to-string";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import type { CallView, ParleyClient } from "@parley/client";
import { conversation, member, message, outgoing, own, ROOM } from "@parley/client/testing";
import { CallBanner } from "../src/call-banner";
import { CallNotes } from "../src/call-notes";
import { CallTile } from "../src/call-tile";
import { ConversationItem } from "../src/conversation-item";
import { ConversationList } from "../src/conversation-list";
import { DeviceNotices } from "../src/device-notices";
import { ForwardDialog } from "../src/forward-dialog";
import { Icon } from "../src/icons";
import { language } from "../src/language";
import { Login } from "../src/login";
import { MessageRow } from "../src/message-row";
import { PinBar } from "../src/pin-bar";
import { PollDialog } from "../src/poll-dialog";
import { RequestBar } from "../src/request-bar";
import { Session } from "../src/session";
import { LanguageSettings } from "../src/settings-language";
import { NoticeSettings } from "../src/settings-notices";
import { PrivacySettings } from "../src/settings-privacy";
import { layOut } from "../src/timeline";
import { UploadList } from "../src/upload-list";
import { until, useWorld } from "./support";

const NOON = new Date(2026, 4, 15, 12, 0).getTime();
const NAME = "ليلى";
const nameOf = (): string => NAME;
const viewer = { selfId: "alice", nameOf };
const nothing = (): void => undefined;
const actions = { reply: nothing, edit: nothing, unsend: nothing, forward: nothing, history: nothing, readers: nothing, report: nothing, react: nothing, pin: nothing, openMenu: nothing, jump: nothing };

/** Everything that is read or heard of a piece of the page. */
function words(html: string): string {
  const named = [...html.matchAll(/\b(?:aria-label|title|placeholder|alt)="([^"]*)"/g)].map((match) => match[1]);
  return [html.replace(/<[^>]+>/g, " "), ...named].join(" ").replaceAll(/&\w+;/g, " ");
}

/** Latin letters, but for this product's name and for what a kind of file is called everywhere. */
const latin = (text: string): string[] => (text.match(/[A-Za-z]{2,}/g) ?? []).filter((word) => !["Parley", "PDF", "English", "Espa", "ol"].includes(word));

describe("the page in Arabic", () => {
  const world = useWorld();
  beforeEach(() => language.choose("ar"));
  afterEach(() => language.choose("en"));

  async function ready(): Promise<ParleyClient> {
    const client = world.client("alice");
    await until("ready", () => client.messaging.ready && client.relations.settings !== undefined);
    return client;
  }

  test("has no English word on its lists, bars and settings", async () => {
    const client = await ready();
    await client.notifications.update({ quietHours: { startMinute: 0, endMinute: 60 } });
    const group = conversation({ id: "g", kind: "group", title: NAME });
    const views = [
      { conversation: conversation(), messages: [message(1, { sendTimeMs: NOON })], outgoing: [], hasOlder: false, own: own({ pinned: true, muteEndMs: NOON + 1 }), unread: 3 },
      { conversation: group, messages: [], outgoing: [outgoing("c", { text: NAME })], hasOlder: false, own: own({ markedUnread: true }), unread: 0 },
      { conversation: conversation({ id: "r" }), messages: [], outgoing: [], hasOlder: false, own: own({ request: "pending" }), unread: 0 },
    ];
    const face = { id: "bob", name: NAME, peer: "bob", picture: "" };
    const bar = (permission: "request" | "blocked" | "refused") => renderToString(h(RequestBar, { client, view: views[0]!, face, permission, onReport: nothing, onClose: nothing }));
    const pieces = [
      ...(["inbox", "requests", "archived"] as const).map((folder) => renderToString(h(ConversationList, { client, views, folder, setFolder: nothing, openId: "", nameOf, nowMs: NOON, onOpen: nothing }))),
      ...views.map((view) => renderToString(h(ConversationItem, { client, view, openId: "", nameOf, nowMs: NOON, onOpen: nothing }))),
      bar("request"),
      bar("blocked"),
      bar("refused"),
      renderToString(h(PrivacySettings, { client })),
      renderToString(h(NoticeSettings, { client, notices: new DeviceNotices(client) })),
      renderToString(h(LanguageSettings, {})),
      renderToString(h(CallTile, { userId: "bob", name: NAME, video: undefined, muted: true, hand: true })),
      renderToString(h(CallBanner, { client, conversation: group, viewer })),
      renderToString(h(PinBar, { view: { ...views[0]!, conversation: conversation({ pinned: [{ seq: 8, pinTimeMs: 2 }, { seq: 9, pinTimeMs: 1 }] }) }, viewer, jump: nothing })),
    ];
    for (const piece of pieces) expect(latin(words(piece))).toEqual([]);
    // The name of a key, on the button that closes a window.
    const window = renderToString(h(ForwardDialog, { client, message: message(1), viewer, onClose: nothing }));
    expect(latin(words(window)).filter((word) => word !== "Esc")).toEqual([]);
    const asking = renderToString(h(PollDialog, { client, conversationId: ROOM, onClose: nothing }));
    expect(latin(words(asking)).filter((word) => word !== "Esc")).toEqual([]);
  });

  test("has no English word around messages, files and calls", async () => {
    const client = await ready();
    const file = { id: "f", fileName: `${NAME}.pdf`, contentType: "application/pdf", sizeBytes: 2048, width: 0, height: 0 };
    const members = [member("alice"), member("bob", { readSeq: 9 }), member("carol")];
    const said = (seq: number, senderId: string, text: string, change: object = {}) => message(seq, { senderId, sendTimeMs: NOON, content: { kind: "text", text, entities: [] }, ...change });
    const messages = [
      said(1, "bob", NAME, { expireTimeMs: NOON + 1, edited: true }),
      message(2, { senderId: "bob", sendTimeMs: NOON, content: { kind: "unsent" } }),
      message(3, { senderId: "bob", sendTimeMs: NOON, content: { kind: "unknown" } }),
      message(4, { senderId: "bob", sendTimeMs: NOON, content: { kind: "voice", lengthS: 12 } }),
      message(9, { senderId: "bob", sendTimeMs: NOON, content: { kind: "poll", question: NAME, options: [{ text: NAME, userIds: ["alice", "bob"] }, { text: NAME, userIds: [] }], multiple: true } }),
      message(10, { senderId: "bob", sendTimeMs: NOON, content: { kind: "sticker", url: "", width: 1, height: 1, description: NAME } }),
      message(5, { senderId: "bob", sendTimeMs: NOON, content: { kind: "call", callId: "x", video: true, outcome: "missed", lengthS: 0 } }),
      message(6, { senderId: "bob", sendTimeMs: NOON, content: { kind: "system", event: { kind: "vanishing_changed", vanishAfterS: 7200 } } }),
      message(8, { senderId: "bob", sendTimeMs: NOON, content: { kind: "system", event: { kind: "pinned", seq: 1 } } }),
      said(7, "alice", NAME, { replyToSeq: 1, forwarded: true, reactions: [{ emoji: "👍", userIds: ["alice", "bob"] }] }),
    ];
    const view = { conversation: conversation({ kind: "group", members }), messages, outgoing: [], hasOlder: false, own: own(), unread: 0 };
    for (const row of layOut(view, "alice", NOON)) expect(latin(words(renderToString(h(MessageRow, { row, tabStop: true, client, viewer, group: true, conversationId: ROOM, actions }))))).toEqual([]);
    const upload = { ...file, state: "failed", sentBytes: 0, problem: { key: "file_not_sent", values: {}, line: "In English" }, attachment: undefined } as const;
    expect(latin(words(renderToString(h(UploadList, { client, uploads: [upload] })))).filter((word) => word !== "pdf")).toEqual([]);
    const call: CallView = { ...client.calls.view(), phase: "active", weak: true, mutedByAdmin: true, encryption: "unreadable", deviceProblem: { camera: "refused", microphone: undefined, line: "In English" }, unseen: { of: [{ userId: "bob", screen: false }], by: [] } };
    expect(latin(words(renderToString(h(CallNotes, { client, call, nameOf }))))).toEqual([]);
  });

  test("turns the icons that point along the line, and no others", () => {
    const classOf = (name: "back" | "send" | "tick" | "phone" | "retry") => /class="([^"]*)"/.exec(renderToString(h(Icon, { name })))?.[1];
    expect((["back", "send"] as const).map(classOf)).toEqual(["icon directed", "icon directed"]);
    expect((["tick", "phone", "retry"] as const).map(classOf)).toEqual(["icon", "icon", "icon"]);
  });
});

test("the login says what an embedding page's function said in its own words, and everything else in the page's", async () => {
  vi.stubGlobal("addEventListener", nothing);
  vi.stubGlobal("document", { addEventListener: nothing, documentElement: {}, visibilityState: "visible" });
  try {
    const session = new Session({ loadUsers: () => Promise.resolve([]) });
    const shown = () => renderToString(h(Login, { session }));
    await session.login("x");
    expect(shown()).toContain("This is not a token.");
    await session.login(() => Promise.reject(new Error("Ask your teacher")));
    expect(shown()).toContain("Ask your teacher");
    await session.login(() => Promise.reject(new TypeError("fetch")));
    await language.choose("es");
    expect(shown()).toContain("Ahora mismo no se puede conectar con Parley.");
  } finally {
    await language.choose("en");
    vi.unstubAllGlobals();
  }
});
