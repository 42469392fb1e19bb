import { describe, expect, test } from "vitest";
import { tile } from "../src/tiling";

describe("tiling", () => {
  test.each([
    ["one on a wide window", 1, 1160, 580, 1],
    ["two on a wide window stand side by side", 2, 1160, 580, 2],
    ["two on a phone stand over each other", 2, 370, 620, 1],
    ["four on a phone make two rows", 4, 370, 620, 2],
  ])("%s", (_name, count, width, height, columns) => {
    expect(tile(count, width, height, 10).columns).toBe(columns);
  });

  test("all tiles fit, for any number and window", () => {
    for (const [width, height] of [[1160, 580], [370, 620], [300, 225], [2400, 300]] as const) {
      for (let count = 1; count <= 32; count++) {
        const { columns, ...size } = tile(count, width, height, 10);
        expect(columns * size.width + (columns - 1) * 10).toBeLessThanOrEqual(width);
        const rows = Math.ceil(count / columns);
        expect(rows * size.height + (rows - 1) * 10).toBeLessThanOrEqual(height);
        expect(size.width).toBeGreaterThan(0);
      }
    }
  });

  test("before anything is drawn there is nothing to divide", () => {
    expect(tile(3, 0, 0, 10)).toMatchObject({ width: 0, height: 0 });
  });
});
