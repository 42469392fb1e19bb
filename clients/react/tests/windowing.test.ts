import { expect, test } from "vitest";
import { BEYOND_PX, GUESS_PX, indexOf, type Place, rowAt, windowFor } from "../src/windowing.js";

const keys = Array.from({ length: 10_000 }, (_, i) => `k${i}`);
const NONE = new Map<string, number>();
const VIEW_PX = 600;

const total = (count: number, heights: ReadonlyMap<string, number>, from = 0): number =>
  keys.slice(from, count).reduce((sum, key) => sum + (heights.get(key) ?? GUESS_PX), 0);

test("at the end the last rows are drawn, and what stands in for the others is as high as they are", () => {
  const { start, end, beforePx, afterPx } = windowFor(keys, NONE, "end", VIEW_PX);
  expect([end, afterPx]).toEqual([keys.length, 0]);
  expect(beforePx).toBe(start * GUESS_PX);
  expect(end - start).toBeLessThan(40);
});

test("everywhere in a list of uneven rows, all that is seen is drawn, and not much more", () => {
  const heights = new Map(keys.map((key, i) => [key, 20 + ((i * 7919) % 300)]));
  for (let index = 0; index < keys.length; index += 97) {
    const place: Place = { key: keys[index]!, index, offsetPx: -((index * 31) % 20) };
    const { start, end, beforePx, afterPx } = windowFor(keys, heights, place, VIEW_PX);
    const top = total(index, heights) - place.offsetPx;
    expect(beforePx).toBe(total(start, heights));
    expect(afterPx).toBe(total(keys.length, heights, end));
    expect(start === 0 || beforePx <= top - BEYOND_PX).toBe(true);
    expect(end === keys.length || total(end, heights) >= top + VIEW_PX + BEYOND_PX).toBe(true);
    expect(total(end, heights) - beforePx).toBeLessThan(VIEW_PX + 2 * BEYOND_PX + 2 * 320);
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
  const heights = new Map([["k1", 100]]);
  expect(rowAt(keys, heights, 0)).toEqual({ key: "k0", index: 0, offsetPx: 0 });
  expect(rowAt(keys, heights, GUESS_PX + 99)).toEqual({ key: "k1", index: 1, offsetPx: -99 });
  expect(rowAt(keys, heights, 1e9).index).toBe(keys.length - 1);
});

test("an empty list and a single row have windows too", () => {
  expect(windowFor([], NONE, "end", VIEW_PX)).toEqual({ start: 0, end: 0, beforePx: 0, afterPx: 0 });
  expect(windowFor(["a"], NONE, "end", VIEW_PX)).toEqual({ start: 0, end: 1, beforePx: 0, afterPx: 0 });
});
