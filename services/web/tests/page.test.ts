import { describe, expect, test } from "vitest";
import type { ConversationView, Message } from "@parley/client";
import { isUserContent, qualified } from "@parley/client";
import { pictureOf, symbolReference } from "../src/avatar";
import { avatarTone, callLine, dayLabel, duration, initials, lengthLine, presenceLine } from "../src/format";
import { attachmentsLine, groupLine, messageLine, previewAuthor, reactionLine, typingLine } from "../src/conversation-text";
import { EMOJIS } from "../src/message-menu";
import { layOut } from "../src/timeline";
import { conversation, member, message as sample, outgoing, own } from "@parley/client/testing";

const NOON = new Date(2026, 4, 15, 12, 0).getTime();
const HOUR = 3_600_000;

function message(seq: number, senderId: string, timeMs: number, content?: Message["content"]): Message {
  return sample(seq, { senderId, sendTimeMs: timeMs, ...(content ? { content } : {}) });
}

function view(messages: Message[], change: Partial<ConversationView> = {}, bobRead = 0): ConversationView {
  const known = conversation({ members: [member("alice"), member("bob", { readSeq: bobRead })] });
  return { conversation: known, messages, outgoing: [], hasOlder: false, own: own(), unread: 0, ...change };
}

const NAMES: Record<string, string> = { alice: "Alice Adler", bob: "Bob Berger", carol: "Carol Castro" };
const VIEWER = { selfId: "alice", nameOf: (id: string) => NAMES[id] ?? id };

test("the emojis that the menu offers are spelt as the service keeps them", () => {
  for (const { emoji } of EMOJIS) expect(qualified(emoji)).toBe(emoji);
});

describe("format", () => {
  test.each([[0, "0:00"], [83, "1:23"], [3599.4, "59:59"], [3723, "1:02:03"]])("%d seconds read %s", (seconds, expected) => {
    expect(duration(seconds)).toBe(expected);
  });

  test("days are named by the calendar, not by hours", () => {
    expect(dayLabel(NOON - 11 * HOUR, NOON)).toBe("Today");
    expect(dayLabel(NOON - 13 * HOUR, NOON)).toBe("Yesterday");
    expect(dayLabel(NOON - 400 * 24 * HOUR, NOON)).toContain("2025");
  });

  test("a call record reads from the reader's side", () => {
    const missed = { kind: "call", callId: "x", video: true, outcome: "missed", lengthS: 0 } as const;
    expect(callLine(missed, false)).toBe("Missed video call");
    expect(callLine(missed, true)).toBe("Video call · no answer");
    expect(callLine({ ...missed, outcome: "completed", lengthS: 83 }, true)).toBe("Video call · 1:23");
  });

  test("a preview is one line and says who wrote", () => {
    const said = message(1, "alice", NOON, { kind: "text", text: "a\n\nb", entities: [] });
    expect([previewAuthor(said, "direct", VIEWER), messageLine(said, VIEWER)]).toEqual(["You:", "a b"]);
  });

  test("presence is empty while nothing is known", () => {
    expect(presenceLine(undefined, NOON)).toBe("");
    expect(presenceLine({ online: true, lastSeenMs: undefined }, NOON)).toBe("Online");
    expect(presenceLine({ online: false, lastSeenMs: NOON - 5 * 60_000 }, NOON)).toBe("Last seen 5 min ago");
  });

  test("lengths read as people say them", () => {
    expect([300, 3600, 86_400, 604_800, 30 * 86_400, 90].map(lengthLine)).toEqual(["5 minutes", "an hour", "a day", "a week", "30 days", "90 seconds"]);
  });

  test("a picture's reference is a drawing, an address of this site, or left alone", () => {
    expect(pictureOf(symbolReference("mountain"))).toEqual({ symbol: "mountain" });
    expect(pictureOf("/pictures/7.png")).toEqual({ address: "/pictures/7.png" });
    for (const reference of ["//elsewhere.example/x.png", "javascript:alert(1)", "symbol:constructor", "https://elsewhere.example/x.png", ""]) expect(pictureOf(reference)).toEqual({});
  });

  test("avatars keep their tint and survive odd names", () => {
    expect(avatarTone("alice")).toBe(avatarTone("alice"));
    expect(initials("Alice Moreau")).toBe("AM");
    expect(initials("bob")).toBe("B");
    expect(initials("  ")).toBe("?");
  });
});

describe("timeline", () => {
  test("days are separated and runs of one sender stand together", () => {
    const day = 24 * HOUR;
    const rows = layOut(view([message(1, "bob", NOON - day), message(2, "bob", NOON), message(3, "bob", NOON + 1000)]), "alice", NOON);
    expect(rows.map((row) => (row.kind === "text" ? `${row.text}${row.first ? "f" : ""}${row.last ? "l" : ""}` : row.kind))).toEqual(["day", "1fl", "day", "2f", "3l"]);
  });

  test("a line stands above what others wrote after one has read, where that is loaded", () => {
    const messages = [message(5, "bob", NOON), message(6, "alice", NOON), message(7, "bob", NOON), message(8, "bob", NOON)];
    const kinds = (readSeq: number) => layOut(view(messages), "alice", NOON, [], readSeq).map((row) => (row.kind === "text" ? `${row.text}${row.first ? "f" : ""}` : row.kind));
    expect(kinds(5)).toEqual(["day", "5f", "6f", "new", "7f", "8"]);
    expect(kinds(7)).toEqual(["day", "5f", "6f", "7f", "new", "8f"]);
    expect(kinds(4)[1]).toBe("new");
    for (const none of [3, 8]) expect(kinds(none)).not.toContain("new");
  });

  test("each of one's own messages in a direct conversation says how far it got", () => {
    const messages = [message(1, "alice", NOON), message(2, "alice", NOON), message(3, "alice", NOON), message(4, "bob", NOON)];
    const members = [member("alice"), member("bob", { readSeq: 1, deliveredSeq: 2 })];
    const rows = layOut(view(messages, { conversation: conversation({ members }) }), "alice", NOON);
    expect(rows.map((row) => row.kind === "text" && row.receipt)).toEqual([false, "read", "delivered", "sent", undefined]);
    expect(rows.every((row) => row.kind !== "text" || row.status === undefined)).toBe(true);
  });

  test("what has vanished is left out, and an answer to it says only that there was one", () => {
    const gone = message(1, "bob", NOON, { kind: "expired" });
    const rows = layOut(view([gone, sample(2, { sendTimeMs: NOON, replyToSeq: 1 })]), "alice", NOON);
    expect(rows.map((row) => row.kind)).toEqual(["day", "text"]);
    expect(rows[1]).toMatchObject({ quote: { seq: 1, message: undefined } });
  });

  test("an acknowledged message keeps the key of its bubble", () => {
    const pending = outgoing("c1", { createTimeMs: NOON });
    const before = layOut(view([], { outgoing: [pending] }), "alice", NOON).at(-1);
    const after = layOut(view([message(1, "alice", NOON)]), "alice", NOON).at(-1);
    expect(before?.key).toBe(after?.key);
  });

  test("a call record breaks a run", () => {
    const record = { kind: "call", callId: "x", video: false, outcome: "completed", lengthS: 5 } as const;
    const rows = layOut(view([message(1, "bob", NOON), message(2, "bob", NOON, record), message(3, "bob", NOON)]), "alice", NOON);
    expect(rows.map((row) => row.kind)).toEqual(["day", "text", "call", "text"]);
    expect(rows[1]).toMatchObject({ first: true, last: true });
  });
});

describe("people", () => {
  test.each([
    [{ kind: "created" } as const, "bob", "Bob Berger created the group"],
    [{ kind: "added", userIds: ["bob", "carol", "alice"] } as const, "dave", "dave added Bob Berger, Carol Castro and you"],
    [{ kind: "removed", userId: "bob" } as const, "alice", "You removed Bob Berger"],
    [{ kind: "vanishing_changed", vanishAfterS: 3600 } as const, "bob", "Bob Berger set new messages to vanish after an hour"],
    [{ kind: "vanishing_changed", vanishAfterS: 0 } as const, "alice", "You turned vanishing messages off"],
    [{ kind: "pinned", seq: 3 } as const, "bob", "Bob Berger pinned a message"],
    [{ kind: "pinned", seq: 3 } as const, "alice", "You pinned a message"],
    [{ kind: "renamed", title: "Hike" } as const, "alice", "You renamed the group to “Hike”"],
    [{ kind: "role_changed", userId: "alice", role: "admin" } as const, "bob", "Bob Berger made you an admin"],
    [{ kind: "role_changed", userId: "alice", role: "member" } as const, "alice", "You gave the admin role up"],
    [{ kind: "added", userIds: ["alice"] } as const, "bob", "Bob Berger added you"],
    [{ kind: "removed", userId: "alice" } as const, "bob", "Bob Berger removed you"],
  ])("a line about the group reads from the reader's side (%#)", (event, actor, expected) => {
    expect(groupLine(event, actor, VIEWER)).toBe(expected);
  });

  test("a group's preview says who wrote, and an unsent message shows nothing of itself", () => {
    expect(previewAuthor(message(1, "bob", NOON), "group", VIEWER)).toBe("Bob:");
    expect(previewAuthor(message(1, "bob", NOON), "direct", VIEWER)).toBe("");
    const unsent = message(1, "bob", NOON, { kind: "unsent" });
    expect([previewAuthor(unsent, "group", VIEWER), messageLine(unsent, VIEWER)]).toEqual(["", "Message unsent"]);
  });

  test("a voice message stands with its length, and is its sender's to take back", () => {
    const spoken = { kind: "voice", lengthS: 12.4 } as const;
    expect(messageLine(message(1, "bob", NOON, spoken), VIEWER)).toBe("Voice message · 0:12");
    expect(layOut(view([message(1, "bob", NOON, spoken)]), "alice", NOON)).toMatchObject([{ kind: "day" }, { kind: "text", text: "Voice message · 0:12" }]);
    expect(isUserContent(spoken)).toBe(true);
  });

  test("a poll stands with its question, in lists in one line", () => {
    const poll = { kind: "poll", question: "Where\nto?", options: [], multiple: false } as const;
    expect(messageLine(message(1, "bob", NOON, poll), VIEWER)).toBe("Poll · Where to?");
    expect(layOut(view([message(1, "bob", NOON, poll)]), "alice", NOON)).toMatchObject([{ kind: "day" }, { kind: "text", text: "Where\nto?" }]);
  });

  test("a sticker stands with its description, in lists in one line", () => {
    const sticker = { kind: "sticker", url: "https://stickers.example/a.gif", width: 1, height: 1, description: "A cat\nwaves" } as const;
    expect(messageLine(message(1, "bob", NOON, sticker), VIEWER)).toBe("Sticker · A cat waves");
    expect(layOut(view([message(1, "bob", NOON, sticker)]), "alice", NOON)).toMatchObject([{ kind: "day" }, { kind: "text", text: "A cat\nwaves" }]);
  });

  test("files without a text are named", () => {
    const file = (fileName: string, contentType: string) => ({ id: fileName, fileName, contentType, sizeBytes: 1, width: 0, height: 0 });
    expect(attachmentsLine([file("a.png", "image/png")])).toBe("Picture");
    expect(attachmentsLine([file("a.png", "image/png"), file("b.png", "image/png")])).toBe("2 pictures");
    expect(attachmentsLine([file("a.pdf", "application/pdf")])).toBe("a.pdf");
    expect(attachmentsLine([file("a.pdf", "application/pdf"), file("b.png", "image/png")])).toBe("2 files");
  });

  test("who reacted and who types is said by name, oneself last", () => {
    expect(reactionLine("👍", ["alice", "bob"], VIEWER)).toBe("👍 by Bob Berger and you");
    expect(typingLine(["bob"], "group", VIEWER)).toBe("Bob is typing…");
    expect(typingLine(["bob", "carol", "dave"], "group", VIEWER)).toBe("several people are typing…");
  });

  test("in a group it is said by how many a message was read", () => {
    const members = [member("alice"), member("bob", { readSeq: 1 }), member("carol")];
    const group = (change: typeof members) => view([message(1, "alice", NOON)], { conversation: conversation({ kind: "group", members: change }) });
    const status = (change: typeof members) => layOut(group(change), "alice", NOON).map((row) => row.kind === "text" && row.status).at(-1);
    expect(status(members)).toBe("Read by 1");
    expect(status(members.map((m) => ({ ...m, readSeq: 1 })))).toBe("Read by everyone");
  });

  test("an answer carries the message that it answers, when that is loaded", () => {
    const answers = [sample(7), sample(8, { replyToSeq: 7 }), sample(9, { replyToSeq: 2 })];
    const quotes = layOut(view(answers), "alice", NOON).map((row) => (row.kind === "text" ? row.quote?.message?.seq : undefined));
    expect(quotes.slice(-3)).toEqual([undefined, 7, undefined]);
    expect(layOut(view(answers), "alice", NOON).at(-1)).toMatchObject({ quote: { seq: 2, message: undefined } });
  });
});
