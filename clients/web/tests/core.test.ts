import { create } from "@bufbuild/protobuf";
import { describe, expect, test } from "vitest";
import { BACKOFF_CAP_MS, backoffMs } from "../src/core/backoff.js";
import { deviceLine, endLine, errorLine, userMessage } from "../src/core/user-messages.js";
import { UNKNOWN_LIMITS } from "../src/core/limits.js";
import { choiceOf, votersOf } from "../src/core/polls.js";
import { countsAsUnread, isUserContent } from "../src/core/receipts.js";
import { readSlotMap, type Slot } from "../src/core/slots.js";
import { sendableStickers, stickerSize, stickerSource } from "../src/core/stickers.js";
import { PollContentSchema, PollVotesSchema, StickerContentSchema } from "../src/gen/parley/messaging/v1/messages_pb.js";
import { message } from "../src/testing/samples.js";
import { TypingUsers, TypingNotifier } from "../src/core/typing.js";
import { readContent } from "../src/wire.js";

describe("back-off", () => {
  test("grows from attempt to attempt up to a cap, and never is zero", () => {
    const waits = Array.from({ length: 30 }, (_, attempt) => backoffMs(attempt, 0));
    expect(waits).toEqual([...waits].sort((a, b) => a - b));
    expect(Math.min(...waits)).toBeGreaterThan(0);
    expect(backoffMs(30, 0.999)).toBeLessThanOrEqual(BACKOFF_CAP_MS);
  });

  test("spreads clients over half of the ceiling", () => {
    expect(backoffMs(3, 0.999) / backoffMs(3, 0)).toBeCloseTo(2, 1);
  });

  test("waits at least as long as the server asked, spread too", () => {
    expect(backoffMs(0, 0, 9000)).toBe(9000);
    expect(backoffMs(0, 0.5, 9000)).toBeGreaterThan(9000);
  });
});

test("a voice message counts as unread", () => {
  const content = { kind: "voice", lengthS: 12.4 } as const;
  expect(countsAsUnread(message(1, { content }), "alice")).toBe(true);
  expect(countsAsUnread(message(1, { content }), "bob")).toBe(false);
});

describe("a poll", () => {
  const poll = {
    kind: "poll",
    question: "Where?",
    multiple: true,
    options: [
      { text: "here", userIds: ["bob"] },
      { text: "there", userIds: [] },
      { text: "nowhere", userIds: ["alice", "bob"] },
    ],
  } as const;

  test("counts as unread, and is its sender's to take back", () => {
    expect(countsAsUnread(message(1, { content: poll }), "alice")).toBe(true);
    expect(isUserContent(poll)).toBe(true);
  });

  test("says who chose what, and how many people have voted", () => {
    expect(["alice", "bob", "carol"].map((userId) => choiceOf(poll, userId))).toEqual([[2], [0, 2], []]);
    expect(votersOf(poll)).toBe(2);
  });

  test("is read with its votes, option by option", () => {
    const content = { case: "poll", value: create(PollContentSchema, { question: "Where?", options: ["here", "there", "nowhere"], multiple: true }) } as const;
    const votes = [create(PollVotesSchema, { optionIndex: 2, userIds: ["alice", "bob"] }), create(PollVotesSchema, { userIds: ["bob"] }), create(PollVotesSchema, { optionIndex: 9, userIds: ["eve"] })];
    expect(readContent(content, votes)).toEqual(poll);
  });
});

describe("stickers", () => {
  const sticker = { kind: "sticker", url: "https://stickers.example/a.gif", width: 480, height: 270, description: "A cat waves" } as const;
  const from = (url: string) => stickerSource({ ...sticker, url }, { ...UNKNOWN_LIMITS, stickerHosts: ["more.example", "stickers.example"] });

  test("count as unread, and can be unsent and reported", () => {
    expect(countsAsUnread(message(1, { content: sticker }), "alice")).toBe(true);
    expect(isUserContent(sticker)).toBe(true);
  });

  test("are read without what the provider calls them", () => {
    const { kind, ...value } = sticker;
    expect(readContent({ case: kind, value: create(StickerContentSchema, { ...value, providerRef: "cat-7" }) })).toEqual(sticker);
  });

  test("are loaded from the hosts that the service names, and from nowhere else", () => {
    expect(from(sticker.url)).toBe(sticker.url);
    expect(stickerSource(sticker, UNKNOWN_LIMITS)).toBeUndefined();
    const others = ["", "https://evil.example/a.gif", "https://stickers.example.evil.example/", "https://stickers.example@evil.example/", "https://stickers.example:8443/", "http://stickers.example/", "https://Stickers.example/", "javascript:https://stickers.example/"];
    expect(others.map(from)).toEqual(others.map(() => undefined));
  });

  test("are shown as large as they are, within bounds", () => {
    expect(stickerSize(sticker, 240)).toEqual({ width: 240, height: 135 });
    expect(stickerSize({ ...sticker, width: 60, height: 4096 }, 240)).toEqual({ width: 4, height: 240 });
    expect(stickerSize({ ...sticker, width: 60, height: 40 }, 240)).toEqual({ width: 60, height: 40 });
    expect(stickerSize({ ...sticker, width: 4096, height: 1 }, 240)).toEqual({ width: 240, height: 1 });
  });

  test("of what a provider found those can be sent that are of an allowed host, have a size and words, each once", () => {
    const { kind: _, ...good } = sticker;
    const found = [good, { ...good, url: "https://evil.example/a.gif" }, { ...good, url: `${good.url}?2`, width: 0 }, { ...good, url: `${good.url}?3`, description: " " }, { ...good, providerRef: "again" }];
    expect(sendableStickers(found, { ...UNKNOWN_LIMITS, stickerHosts: ["stickers.example"] }).map(({ url }) => url)).toEqual([good.url]);
    expect(sendableStickers(found, UNKNOWN_LIMITS)).toEqual([]);
  });
});

describe("typing", () => {
  test("is told at once, repeated after four seconds, and ended when sent", () => {
    const notifier = new TypingNotifier();
    expect(notifier.handleDraft(false, 0)).toBe(true);
    expect(notifier.handleDraft(false, 1000)).toBeUndefined();
    expect(notifier.handleDraft(false, 4000)).toBe(true);
    expect(notifier.handleStop()).toBe(false);
    expect(notifier.handleStop()).toBeUndefined();
  });

  test("ends when the keys rest or the draft is cleared", () => {
    const notifier = new TypingNotifier();
    notifier.handleDraft(false, 0);
    expect(notifier.handleTick(4999)).toBeUndefined();
    expect(notifier.handleTick(5000)).toBe(false);
    notifier.handleDraft(false, 6000);
    expect(notifier.handleDraft(true, 6500)).toBe(false);
  });

  test("of others is shown for six seconds without a refresh", () => {
    const typing = new TypingUsers();
    typing.apply("room", "bob", true, 0);
    expect(typing.in("room", 5999)).toEqual(["bob"]);
    expect(typing.in("room", 6000)).toEqual([]);
    typing.apply("room", "bob", true, 7000);
    typing.apply("room", "bob", false, 7100);
    expect(typing.in("room", 7200)).toEqual([]);
    expect(typing.in("elsewhere", 0)).toEqual([]);
  });
});

describe("slot map", () => {
  const kinds = new Map([["2", "audio"], ["3", "video"], ["4", "video"], ["5", "audio"]] as const);

  const slot = (mid: string): Slot => ({ mid, userId: "bob", muted: false, screen: false });

  test("joins the slots of a person by kind", () => {
    const people = readSlotMap([{ ...slot("2"), muted: true }, slot("3")], kinds);
    expect(people).toEqual([{ userId: "bob", audioMid: "2", videoMid: "3", screenMid: undefined, screenAudioMid: undefined, audioMuted: true, videoMuted: false }]);
  });

  test("a screen stands beside the camera", () => {
    const people = readSlotMap([slot("3"), { ...slot("4"), screen: true }], kinds);
    expect(people[0]).toMatchObject({ videoMid: "3", screenMid: "4", videoMuted: false });
  });

  test("the sound of a screen stands beside the voice, whichever slot comes last", () => {
    const [voice, sound] = [slot("2"), { ...slot("5"), screen: true }];
    for (const map of [[voice, sound], [sound, voice]]) {
      expect(readSlotMap(map, kinds)[0]).toMatchObject({ audioMid: "2", screenAudioMid: "5", audioMuted: false });
    }
  });

  test("leaves out empty slots and MIDs that are not ours", () => {
    expect(readSlotMap([{ ...slot("4"), userId: "" }, slot("9")], kinds)).toEqual([]);
  });

  test("someone without a video slot counts as not seen", () => {
    expect(readSlotMap([slot("2")], kinds)[0]).toMatchObject({ videoMid: undefined, videoMuted: true });
  });
});

describe("lines for people", () => {
  test("the reason comes before the code, and an unknown error still reads well", () => {
    expect(errorLine("failed_precondition", "ALREADY_IN_CALL")).toBe("You are already in a call.");
    expect(errorLine("unavailable", undefined)).toBe("Parley cannot be reached right now.");
    expect(errorLine("data_loss", "WHATEVER")).toBe("Something went wrong. Please try again.");
    expect(errorLine("data_loss", "constructor")).toBe("Something went wrong. Please try again.");
  });

  test("what the client tells by itself is a key with values, and an English line of them", () => {
    expect(userMessage("left_group", { group: "Hike {bytes}" })).toEqual({ key: "left_group", values: { group: "Hike {bytes}" }, line: "You are no longer in “Hike {bytes}”." });
    expect(userMessage("file_too_large", { bytes: 2048 }).line).toBe("This file is too large. At most 2 kB can be sent.");
  });

  test("devices that are not there are named together when they share the reason", () => {
    expect(deviceLine(undefined, undefined)).toBeUndefined();
    expect(deviceLine("refused", "refused")).toContain("camera and microphone are blocked");
    expect(deviceLine("missing", "in_use")).toBe("No camera was found. Your microphone is in use by another program.");
  });

  test("the end of a call names the other side to the caller", () => {
    expect(endLine("declined", "Bob", true)).toBe("Bob declined the call");
    expect(endLine("missed", "Bob", true)).toBe("Bob did not answer");
    expect(endLine(undefined, "Bob", true)).toBe("Call ended");
  });
});
