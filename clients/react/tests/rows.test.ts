import { message, outgoing } from "@parley/client/testing";
import { expect, test } from "vitest";
import { layOut } from "../src/rows.js";

const MINUTE_MS = 60_000;
const NOON_MS = new Date(2026, 10, 20, 12).getTime();
const at = (seq: number, minutes: number, change: Parameters<typeof message>[1] = {}) => message(seq, { sendTimeMs: NOON_MS + minutes * MINUTE_MS, ...change });

test("messages of one sender close in time are one run, and a day has one line", () => {
  const rows = layOut([at(1, 0), at(2, 1), at(3, 2, { senderId: "alice" }), at(4, 30)], [], "alice");
  expect(rows.map((row) => row.kind)).toEqual(["day", "message", "message", "message", "message"]);
  expect(rows.slice(1).map((row) => row.kind === "message" && row.first)).toEqual([true, false, true, true]);
});

test("midnight ends a run, and two minutes before it do not", () => {
  const rows = layOut([at(1, 717), at(2, 719), at(3, 721)], [], "alice");
  expect(rows.map((row) => row.kind)).toEqual(["day", "message", "message", "day", "message"]);
  expect(rows.map((row) => row.kind === "message" && row.first)).toEqual([false, true, false, false, true]);
});

test("days are told apart in every order of the clock, also across its changes", () => {
  // Each hour of a year, forwards and backwards: as the calendar has it.
  const hours = Array.from({ length: 366 * 24 }, (_, hour) => new Date(2026, 0, 1, hour).getTime());
  for (const times of [hours, hours.toReversed()]) {
    const rows = layOut(times.map((sendTimeMs, i) => message(i + 1, { sendTimeMs })), [], "alice");
    const named = rows.flatMap((row) => (row.kind === "day" ? new Date(row.timeMs).toDateString() : []));
    expect(named).toEqual([...new Set(times.map((ms) => new Date(ms).toDateString()))]);
  }
});

test("calls and what happened to a group are lines between bubbles, and what has vanished is nothing", () => {
  const call = at(2, 1, { content: { kind: "call", callId: "c", video: true, outcome: "missed", lengthS: 0 } });
  const rows = layOut([at(1, 0), call, at(3, 2), at(4, 2, { content: { kind: "expired" } })], [], "alice");
  expect(rows.map((row) => row.kind)).toEqual(["day", "message", "line", "message"]);
  expect(rows.at(-1)).toMatchObject({ first: true });
});

test("one's own message keeps its key when it is acknowledged", () => {
  const waiting = layOut([], [outgoing("mine", { createTimeMs: NOON_MS })], "alice");
  const there = layOut([at(1, 0, { senderId: "alice", clientMessageId: "mine" })], [], "alice");
  expect(waiting.at(-1)?.key).toBe(there.at(-1)?.key);
});

test("keys differ", () => {
  const rows = layOut([at(1, 0), at(2, 1500, { senderId: "alice" }), at(3, 3000)], [outgoing("o", { createTimeMs: NOON_MS + 3001 * MINUTE_MS })], "alice");
  expect(new Set(rows.map(({ key }) => key)).size).toBe(rows.length);
});
