import { h } from "preact";
import { renderToString } from "preact-render-to-string";
import { afterEach, describe, expect, test } from "vitest";
import type { Attachment, ConversationView, Message, ParleyClient, SharedKind } from "@parley/client";
import { conversation, message, own, ROOM } from "@parley/client/testing";
import { GalleryPanel, SharedList } from "../src/gallery";
import { language } from "../src/language";
import { itemsOf, type SharedItem } from "../src/shared-items";
import type { Problem } from "../src/text";
import { useWorld } from "./support";

const NOON = new Date(2026, 4, 15, 12, 0).getTime();
const viewer = { selfId: "alice", nameOf: (userId: string) => ({ bob: "Bob Berger" })[userId] ?? userId };
const nothing = (): void => undefined;

const file = (id: string, contentType: string): Attachment => ({ id, fileName: `${id}.x`, contentType, sizeBytes: 10, width: 0, height: 0 });
const PICTURE = file("picture", "image/png");
const FILM = file("film", "video/mp4");
const PAPER = file("paper", "application/pdf");
const SOUND = file("sound", "audio/ogg");
const linked = (...urls: string[]): Message["content"] => ({ kind: "text", text: "xy", entities: urls.map((url, offset) => ({ kind: "link", url, offset, length: 1 })) });

function view(messages: readonly Message[] = []): ConversationView {
  return { conversation: conversation(), messages: [...messages], outgoing: [], hasOlder: false, own: own(), unread: 0 };
}

/** The seq of each item, and what it is. */
function shown(kind: SharedKind, listed: readonly Message[], known: readonly Message[] = [], afterSeq = 99): [number, string][] {
  return itemsOf(kind, listed, view(known), afterSeq, NOON).map((item) => [item.message.seq, "link" in item ? item.link.host : item.attachment.id]);
}

const tidy = (html: string): string => html.replace(/<[^>]*\baria-label="([^"]*)"[^>]*>/g, " [$1] ").replace(/<[^>]+>/g, " ").replace(/\s+/g, " ").trim();

describe("what is shown of messages that were listed", () => {
  test("each kind has its own, and a message may have several", () => {
    const album = message(2, { attachments: [PICTURE, FILM, PAPER], content: linked("https://a.example/", "https://b.example/x") });
    const spoken = message(3, { attachments: [SOUND], content: { kind: "voice", lengthS: 3 } });
    const all = [spoken, album];
    expect(shown("media", all)).toEqual([[2, "picture"], [2, "film"]]);
    expect(shown("file", all)).toEqual([[2, "paper"]]);
    expect(shown("voice", all)).toEqual([[3, "sound"]]);
    expect(shown("link", all)).toEqual([[2, "a.example"], [2, "b.example"]]);
  });

  test("a link that could lead elsewhere than it says is none", () => {
    expect(shown("link", [message(1, { content: linked("https://bank.example@evil.example/") })])).toEqual([]);
  });

  test("what came since is there, and what was taken back, changed or has vanished is not", () => {
    const listed = [4, 3, 2, 1].map((seq) => message(seq, { content: linked("https://a.example/"), ...(seq === 1 ? { expireTimeMs: NOON } : {}) }));
    const since = [message(3, { content: { kind: "unsent" }, revision: 1 }), message(2, { content: linked(), revision: 2 }), message(5, { content: linked("https://new.example/") })];
    expect(shown("link", listed, since, 4)).toEqual([[5, "new.example"], [4, "a.example"]]);
    // Older ones are those that were not listed yet.
    expect(shown("link", [], [message(4, { content: linked("https://a.example/") })], 4)).toEqual([]);
  });
});

describe("the panel", () => {
  const world = useWorld();
  afterEach(() => language.choose("en"));

  const panel = (client: ParleyClient): string => renderToString(h(GalleryPanel, { client, conversation: conversation(), viewer, nowMs: NOON, onShow: nothing, onClose: nothing }));

  function list(client: ParleyClient, kind: SharedKind, items: readonly SharedItem[], change: { nextPageToken?: string; state?: "running" | "done"; problem?: Problem } = {}): string {
    const pages = { nextPageToken: "", state: "done" as const, problem: undefined, ...change };
    return tidy(renderToString(h(SharedList, { client, conversation: conversation({ id: ROOM }), viewer, nowMs: NOON, kind, items, onShow: nothing, onMore: nothing, ...pages })));
  }

  test("has tabs, of which one is a stop of the keyboard and names what is shown", () => {
    const html = panel(world.client("alice"));
    const tabs = [...html.matchAll(/<button[^>]*role="tab"[^>]*>/g)].map(([tab]) => tab);
    expect(tabs).toHaveLength(4);
    expect(tabs.filter((tab) => tab.includes('aria-selected="true"') && tab.includes('tabindex="0"'))).toHaveLength(1);
    expect(tabs.filter((tab) => tab.includes('aria-selected="false"') && tab.includes('tabindex="-1"'))).toHaveLength(3);
    const [, name] = /role="tabpanel"[^>]*aria-labelledby="([^"]*)"/.exec(html) ?? [];
    expect(tabs[0]).toContain(`id="${name}"`);
    expect(tidy(html)).toContain("Pictures Files Voice Links Loading…");
  });

  test("says that there is nothing, that more is coming, and what went wrong", () => {
    const client = world.client("alice");
    expect(list(client, "media", [])).toBe("0 found No pictures and videos yet.");
    expect(list(client, "link", [])).toBe("0 found No links yet.");
    expect(list(client, "file", [], { state: "running" })).toBe("Loading…");
    expect(list(client, "voice", [], { problem: "picture.broken" })).toBe("This picture could not be loaded. Show more");
    expect(list(client, "voice", [], { nextPageToken: "7" })).toBe("0 or more found Loading… Show more");
  });

  test("shows pictures to open, and everything else to download or to follow, each with the way to its message", () => {
    const client = world.client("alice");
    const of = (kind: SharedKind, ...messages: Message[]): string => list(client, kind, itemsOf(kind, messages, view(), 99, NOON));
    expect(of("media", message(1, { attachments: [PICTURE, FILM] }))).toBe(
      "2 found [Open the picture picture.x] [Show picture.x in the conversation] [Download film.x, 10 bytes] film.x [Show film.x in the conversation]",
    );
    const spoken = message(2, { senderId: "bob", sendTimeMs: NOON, attachments: [SOUND], content: { kind: "voice", lengthS: 3 } });
    expect(of("voice", spoken)).toMatch(/^1 found \[Download sound.x, 10 bytes\] sound.x X, 10 bytes Bob Berger Voice message · 0:03 12:00.* \[Show sound.x in the conversation\]$/);
    expect(of("link", message(3, { content: linked("https://a.example/x") }))).toContain("a.example https://a.example/x");
  });

  test("is there in Arabic", async () => {
    await language.choose("ar");
    const words = tidy(panel(world.client("alice")));
    expect(words).not.toMatch(/[A-Za-z]{2,}/);
    expect(words).toContain("الصور والملفات والروابط");
  });
});
