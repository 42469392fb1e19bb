import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { createRouterTransport } from "@connectrpc/connect";
import { describe, expect, test } from "vitest";
import { calendarOf } from "../src/core/calendar.js";
import type { ScheduledCall } from "../src/core/model.js";
import { AttendanceAnswer, ScheduledCallSchema, ScheduledCallState } from "../src/gen/parley/calls/v1/scheduled_pb.js";
import { CallsService } from "../src/gen/parley/calls/v1/service_pb.js";
import { ScheduledCalls } from "../src/scheduled-calls.js";
import { createApi } from "../src/testing/api.js";

const START_MS = Date.UTC(2026, 11, 4, 18, 30);

function wire(id: string, version: number, changes: { state?: ScheduledCallState; startMs?: number } = {}) {
  return create(ScheduledCallSchema, {
    scheduledCallId: id,
    conversationId: "room",
    makerUserId: "alice",
    title: "Rehearsal",
    startTime: timestampFromMs(changes.startMs ?? START_MS),
    createTime: timestampFromMs(1),
    lengthS: 1800,
    reminderS: 600,
    state: changes.state ?? ScheduledCallState.PLANNED,
    answers: [{ userId: "bob", answer: AttendanceAnswer.YES }],
    version: BigInt(version),
    group: true,
  });
}

function callsOver(lists: ReturnType<typeof wire>[][]) {
  const asked: string[] = [];
  const transport = createRouterTransport(({ service }) =>
    service(CallsService, {
      listScheduledCalls: ({ conversationId }) => (asked.push(`list ${conversationId}`), { scheduledCalls: lists.shift() ?? [] }),
      scheduleCall: ({ title, startTime, clientRequestId }) => (asked.push(`plan ${title} ${startTime?.seconds} ${clientRequestId.length}`), { scheduledCall: wire("new", 1) }),
      changeScheduledCall: ({ scheduledCallId, lengthS }) => (asked.push(`change ${scheduledCallId} ${lengthS}`), { scheduledCall: wire("new", 2) }),
      cancelScheduledCall: () => ({ scheduledCall: wire("new", 3, { state: ScheduledCallState.CANCELLED }) }),
      answerScheduledCall: ({ answer }) => (asked.push(`answer ${answer}`), { scheduledCall: wire("new", 2) }),
    }),
  );
  return { scheduled: new ScheduledCalls(createApi(transport), () => undefined), asked };
}

const DRAFT = { title: "Rehearsal", video: false, startTimeMs: START_MS, lengthS: 1800, reminderS: 600 };

describe("scheduled calls", () => {
  test("those that are not over are shown, the next one first, each as it is in its newest copy", async () => {
    const { scheduled, asked } = callsOver([[wire("b", 2), wire("a", 1, { startMs: START_MS - 1 })], [wire("b", 1)]]);
    await scheduled.refresh("room");
    expect(scheduled.of("room").map(({ id }) => id)).toEqual(["a", "b"]);
    expect(scheduled.of("another")).toEqual([]);
    expect(scheduled.of("room")[1]).toMatchObject({ title: "Rehearsal", startTimeMs: START_MS, answers: { bob: "yes" }, version: 2 });
    // After a gap: what is not listed any more is over, and an older copy changes nothing.
    await scheduled.refreshAll();
    expect(scheduled.of("room").map(({ id, version }) => [id, version])).toEqual([["b", 2]]);
    scheduled.receive(wire("b", 3, { state: ScheduledCallState.ENDED }));
    expect(scheduled.of("room")).toEqual([]);
    expect(asked).toEqual(["list room", "list room"]);
  });

  test("they are planned, changed, answered and cancelled", async () => {
    const { scheduled, asked } = callsOver([]);
    const made = await scheduled.schedule("room", DRAFT);
    expect(made).toMatchObject({ id: "new", ...DRAFT });
    await scheduled.change("new", { ...DRAFT, lengthS: 900 });
    await scheduled.answer("new", "maybe");
    expect(scheduled.of("room")).toHaveLength(1);
    await scheduled.cancel("new");
    expect(scheduled.of("room")).toEqual([]);
    expect(asked).toEqual([`plan Rehearsal ${START_MS / 1000} 36`, "change new 900", `answer ${AttendanceAnswer.MAYBE}`]);
  });
});

describe("a calendar's entry", () => {
  const call: ScheduledCall = { ...DRAFT, id: "id", conversationId: "room", makerUserId: "alice", state: "planned", callId: "", answers: {}, createTimeMs: 0, version: 4, group: true };

  test("has the times in UTC, a reminder, and what its readers tell versions apart by", () => {
    expect(calendarOf(call, "https://chat.example.com/#/room").split("\r\n")).toEqual([
      "BEGIN:VCALENDAR",
      "VERSION:2.0",
      "PRODID:-//Parley//Scheduled calls//EN",
      "BEGIN:VEVENT",
      "UID:id@parley",
      "SEQUENCE:4",
      "DTSTAMP:19700101T000000Z",
      "DTSTART:20261204T183000Z",
      "DTEND:20261204T190000Z",
      "SUMMARY:Rehearsal",
      "STATUS:CONFIRMED",
      "URL:https://chat.example.com/#/room",
      "BEGIN:VALARM",
      "ACTION:DISPLAY",
      "DESCRIPTION:Rehearsal",
      "TRIGGER:-PT600S",
      "END:VALARM",
      "END:VEVENT",
      "END:VCALENDAR",
      "",
    ]);
    const plain = calendarOf({ ...call, reminderS: 0, state: "cancelled" });
    expect(plain).toContain("STATUS:CANCELLED\r\n");
    expect(plain).not.toMatch(/VALARM|URL/);
  });

  test("nothing that somebody wrote makes a line of its own", () => {
    const written = String.raw`a;b,c\d` + "\nBEGIN:VALARM\u0007";
    expect(calendarOf({ ...call, title: written })).toContain(String.raw`SUMMARY:a\;b\,c\\d\nBEGIN:VALARM` + "\r\n");
  });

  test("long lines go on in the next one, and no character is cut in two", () => {
    const title = "\u{1f3b6}".repeat(40);
    const lines = calendarOf({ ...call, title, reminderS: 0 }).split("\r\n");
    for (const line of lines) expect(new TextEncoder().encode(line).length).toBeLessThanOrEqual(75);
    expect(lines.join("\n").replaceAll("\n ", "")).toContain(`SUMMARY:${title}`);
  });
});
