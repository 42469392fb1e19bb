/** Dates, numbers and lists as a locale writes them. */

/** Making one of Intl's formatters costs more than using it a hundred times. */
function kept<T>(make: (locale: string | undefined) => T): (locale: string | undefined) => T {
  const made = new Map<string | undefined, T>();
  return (locale) => {
    const known = made.get(locale) ?? make(locale);
    made.set(locale, known);
    return known;
  };
}

const times = kept((locale) => new Intl.DateTimeFormat(locale, { timeStyle: "short" }));
const days = kept((locale) => new Intl.DateTimeFormat(locale, { weekday: "long", day: "numeric", month: "long" }));
const dates = kept((locale) => new Intl.DateTimeFormat(locale, { dateStyle: "long" }));
const shortDates = kept((locale) => new Intl.DateTimeFormat(locale, { dateStyle: "short" }));
const moments = kept((locale) => new Intl.DateTimeFormat(locale, { dateStyle: "medium", timeStyle: "short" }));
const relatives = kept((locale) => new Intl.RelativeTimeFormat(locale, { numeric: "auto" }));
const numbers = kept((locale) => new Intl.NumberFormat(locale));
const twoDigits = kept((locale) => new Intl.NumberFormat(locale, { minimumIntegerDigits: 2 }));
const lists = kept((locale) => new Intl.ListFormat(locale));
const sizes = (["byte", "kilobyte", "megabyte", "gigabyte"] as const).map((unit) =>
  kept((locale) => new Intl.NumberFormat(locale, { style: "unit", unit, unitDisplay: unit === "byte" ? "long" : "short", maximumFractionDigits: 1 })),
);

const STEP = 1024;

/** The days between two moments, by this device's calendar; 0 within one day. */
export function daysBetween(beforeMs: number, afterMs: number): number {
  // By UTC of the local dates: a day of 23 or 25 hours is one day.
  const count = (ms: number): number => {
    const date = new Date(ms);
    return Date.UTC(date.getFullYear(), date.getMonth(), date.getDate()) / 86_400_000;
  };
  return count(afterMs) - count(beforeMs);
}

export const timeOfDay = (ms: number, locale: string | undefined): string => times(locale).format(ms);
export const moment = (ms: number, locale: string | undefined): string => moments(locale).format(ms);
export const number = (value: number, locale: string | undefined): string => numbers(locale).format(value);
export const list = (items: readonly string[], locale: string | undefined): string => lists(locale).format(items);

/** `today`, `yesterday`, a weekday with its date, or a whole date, as the locale says it. */
export function dayLine(ms: number, nowMs: number, locale: string | undefined): string {
  const ago = daysBetween(ms, nowMs);
  if (ago === 0 || ago === 1) return relatives(locale).format(-ago, "day");
  return ago > 0 && ago < 180 ? days(locale).format(ms) : dates(locale).format(ms);
}

/** The time of what is of today, and the date of what is older. */
export function shortMoment(ms: number, nowMs: number, locale: string | undefined): string {
  return daysBetween(ms, nowMs) === 0 ? timeOfDay(ms, locale) : shortDates(locale).format(ms);
}

/** `1:23`, or `1:02:03` from an hour on. */
export function duration(seconds: number, locale: string | undefined): string {
  const whole = Math.max(0, Math.floor(seconds));
  const [hours, minutes] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60];
  const [plain, two] = [numbers(locale), twoDigits(locale)];
  const parts = hours > 0 ? [plain.format(hours), two.format(minutes)] : [plain.format(minutes)];
  return [...parts, two.format(whole % 60)].join(":");
}

/** `348 kB`. */
export function size(bytes: number, locale: string | undefined): string {
  const power = Math.min(sizes.length - 1, bytes < 1 ? 0 : Math.floor(Math.log(bytes) / Math.log(STEP)));
  return sizes[power]?.(locale).format(bytes / STEP ** power) ?? "";
}
