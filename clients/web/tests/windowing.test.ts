import { expect, test } from "vitest";
import { BEYOND_PX, follow, GUESS_PX, type Heights, indexOf, rowAt, type RowPlace, windowFor, withKept } from "../src/core/windowing.js";

const keys = Array.from({ length: 10_000 }, (_, i) => `k${i}`);
const NONE: Heights = { known: new Map(), guessPx: GUESS_PX };
const VIEW_PX = 600;

const total = (count: number, known: ReadonlyMap<string, number>, from = 0): number =>
  keys.slice(from, count).reduce((sum, key) => sum + (known.get(key) ?? GUESS_PX), 0);

test("at the end the last rows are drawn, and what stands in for the others is as high as they are", () => {
  const { start, end, beforePx, afterPx } = windowFor(keys, NONE, "end", VIEW_PX);
  expect([end, afterPx]).toEqual([keys.length, 0]);
  expect(beforePx).toBe(start * GUESS_PX);
  expect(end - start).toBeLessThan(40);
});

test("everywhere in a list of uneven rows, all that is seen is drawn, and not much more", () => {
  const known = new Map(keys.map((key, i) => [key, 20 + ((i * 7919) % 300)]));
  const heights = { known, guessPx: GUESS_PX };
  for (let index = 0; index < keys.length; index += 97) {
    const place: RowPlace = { key: keys[index]!, index, offsetPx: -((index * 31) % 20) };
    const { start, end, beforePx, afterPx } = windowFor(keys, heights, place, VIEW_PX);
    const top = total(index, known) - place.offsetPx;
    expect(beforePx).toBe(total(start, known));
    expect(afterPx).toBe(total(keys.length, known, end));
    expect(start === 0 || beforePx <= top - BEYOND_PX).toBe(true);
    expect(end === keys.length || total(end, known) >= top + VIEW_PX + BEYOND_PX).toBe(true);
    expect(total(end, known) - beforePx).toBeLessThan(VIEW_PX + 2 * BEYOND_PX + 2 * 320);
  }
});

test("a place is found again when rows come before it, and when its own row is gone", () => {
  const place = { key: "k50", index: 50, offsetPx: -3 };
  expect(indexOf(place, keys)).toBe(50);
  expect(indexOf(place, ["new", ...keys])).toBe(51);
  expect(indexOf(place, keys.filter((key) => key !== "k50"))).toBe(50);
  expect(indexOf(place, ["k1"])).toBe(0);
});

test("where somebody jumps to, is told as a row and how far above it begins", () => {
  const heights = { known: new Map([["k1", 100]]), guessPx: GUESS_PX };
  expect(rowAt(keys, heights, 0)).toEqual({ key: "k0", index: 0, offsetPx: 0 });
  expect(rowAt(keys, heights, GUESS_PX + 99)).toEqual({ key: "k1", index: 1, offsetPx: -99 });
  expect(rowAt(keys, heights, 1e9).index).toBe(keys.length - 1);
});

test("an empty list and a single row have windows too", () => {
  expect(windowFor([], NONE, "end", VIEW_PX)).toEqual({ start: 0, end: 0, beforePx: 0, afterPx: 0 });
  expect(windowFor(["a"], NONE, "end", VIEW_PX)).toEqual({ start: 0, end: 1, beforePx: 0, afterPx: 0 });
});

test("at the start the first rows are drawn", () => {
  const { start, end, beforePx, afterPx } = windowFor(keys, NONE, "start", VIEW_PX);
  expect([start, beforePx]).toEqual([0, 0]);
  expect(end).toBeLessThan(40);
  expect(afterPx).toBe((keys.length - end) * GUESS_PX);
});

test("rows that are kept are drawn beside the window, and the list is as high as without them", () => {
  const window = windowFor(keys, NONE, { key: "k5000", index: 5000, offsetPx: 0 }, VIEW_PX);
  const { indexes, beforePx, afterPx } = withKept(window, keys, NONE, ["k3", "k9000", "k5001", "gone", "k3"]);
  expect([indexes[0], indexes.at(-1), indexes.length]).toEqual([3, 9000, window.end - window.start + 2]);
  expect(indexes.toSorted((a, b) => a - b)).toEqual(indexes);
  expect([beforePx, afterPx]).toEqual([window.beforePx - GUESS_PX, window.afterPx - GUESS_PX]);
});

const seen = [50, 51, 52].map((index, i) => ({ key: `k${index}`, index, offsetPx: i * GUESS_PX - 3 }));

test.each<[string, (all: string[]) => string[], string, number]>([
  ["nothing has changed", (all) => all, "k50", 50],
  ["rows come before", (all) => ["new", ...all], "k50", 51],
  ["one of them goes to the top", (all) => ["k50", ...all.filter((key) => key !== "k50")], "k51", 51],
  ["the second goes to the top", (all) => ["k51", ...all.filter((key) => key !== "k51")], "k52", 52],
  ["one from below goes to the top", (all) => ["k900", ...all.filter((key) => key !== "k900")], "k50", 51],
  ["the first is gone", (all) => all.filter((key) => key !== "k50"), "k51", 50],
  ["all three are gone", (all) => all.filter((key) => !/^k5[012]$/.test(key)), "k53", 50],
  ["almost everything is gone", () => ["k7"], "k7", 0],
])("the reader's place stays where it is when %s", (_, change, key, index) => {
  expect(follow(seen, change(keys))[0]).toMatchObject({ key, index });
});

test("in an empty list there is no place", () => {
  expect(follow(seen, [])).toEqual([]);
});
