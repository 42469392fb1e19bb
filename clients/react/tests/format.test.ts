import { expect, test } from "vitest";
import { dayLine, daysBetween, duration, shortMoment, size } from "../src/format.js";

const NOON_MS = new Date(2026, 10, 30, 12).getTime();
const at = (year: number, month: number, day: number, hour = 0): number => new Date(year, month, day, hour).getTime();

test("a day is called as people call it", () => {
  expect(dayLine(NOON_MS, NOON_MS, "en")).toBe("today");
  expect(dayLine(at(2026, 10, 29, 23), NOON_MS, "en")).toBe("yesterday");
  expect(dayLine(at(2026, 10, 29, 23), NOON_MS, "es")).toBe("ayer");
  expect(dayLine(at(2026, 10, 20, 1), NOON_MS, "en")).toBe("Friday, November 20");
  expect(dayLine(at(2025, 10, 20, 1), NOON_MS, "en")).toBe("November 20, 2025");
});

test("a day of 23 or 25 hours is one day", () => {
  for (let day = 1; day < 366; day++) expect(daysBetween(at(2026, 0, day, 0), at(2026, 0, day + 1, 23))).toBe(1);
});

test("what is of today has its time, what is older its date", () => {
  expect(shortMoment(NOON_MS, NOON_MS, "en-GB")).toBe("12:00");
  expect(shortMoment(at(2026, 10, 29, 23), NOON_MS, "en-GB")).toBe("29/11/2026");
});

test("lengths and sizes are in the locale's digits", () => {
  expect(duration(83, "en")).toBe("1:23");
  expect(duration(3723, "en")).toBe("1:02:03");
  expect(duration(83, "ar-EG")).toBe("١:٢٣");
  expect(size(1, "en")).toBe("1 byte");
  expect(size(348_000, "en")).toBe("339.8 kB");
  expect(size(2.5 * 1024 * 1024, "de")).toBe("2,5 MB");
});
