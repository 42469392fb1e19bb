import type { Message, Presence } from "@parley/client";
import { graphemes } from "@parley/client";
import { language } from "./language";
import { made, t } from "./text";

const DAY_MS = 86_400_000;

const TIME: Intl.DateTimeFormatOptions = { hour: "2-digit", minute: "2-digit" };
const WEEKDAY: Intl.DateTimeFormatOptions = { weekday: "long" };
const WEEKDAY_SHORT: Intl.DateTimeFormatOptions = { weekday: "short" };
const DAY: Intl.DateTimeFormatOptions = { day: "numeric", month: "long" };
const DAY_SHORT: Intl.DateTimeFormatOptions = { day: "numeric", month: "short" };
const DAY_OF_YEAR: Intl.DateTimeFormatOptions = { day: "numeric", month: "long", year: "numeric" };
const DAY_AND_TIME: Intl.DateTimeFormatOptions = { day: "numeric", month: "short", year: "numeric", hour: "2-digit", minute: "2-digit" };

function date(ms: number, options: Intl.DateTimeFormatOptions): string {
  return language.formats.dates(options).format(ms);
}

export function timeOfDay(ms: number): string {
  return date(ms, TIME);
}

function startOfDay(ms: number): number {
  return new Date(ms).setHours(0, 0, 0, 0);
}

/** Calendar days from `ms` to `nowMs`; 0 is today. Rounded, because a day with a change of clock has 23 or 25 hours. */
function daysAgo(ms: number, nowMs: number): number {
  return Math.round((startOfDay(nowMs) - startOfDay(ms)) / DAY_MS);
}

/** The line between two days of a conversation. */
export function dayLabel(ms: number, nowMs: number): string {
  const days = daysAgo(ms, nowMs);
  if (days === 0) return t("today");
  if (days === 1) return t("yesterday");
  if (days < 7) return date(ms, WEEKDAY);
  const sameYear = new Date(ms).getFullYear() === new Date(nowMs).getFullYear();
  return date(ms, sameYear ? DAY : DAY_OF_YEAR);
}

/** When, as short as a list needs it. */
export function listTime(ms: number, nowMs: number): string {
  const days = daysAgo(ms, nowMs);
  if (days === 0) return timeOfDay(ms);
  if (days === 1) return t("yesterday");
  return date(ms, days < 7 ? WEEKDAY_SHORT : DAY_SHORT);
}

/** `1:23`, or `1:02:03` from an hour on. */
export function duration(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds));
  const [h, m, s] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  const { numbers, twoDigits } = language.formats;
  const tail = `${(h > 0 ? twoDigits : numbers).format(m)}:${twoDigits.format(s)}`;
  return h > 0 ? `${numbers.format(h)}:${tail}` : tail;
}

/** The line under a person's name. */
export function presenceLine(presence: Presence | undefined, nowMs: number): string {
  if (!presence) return "";
  if (presence.online) return t("online");
  const seen = presence.lastSeenMs;
  if (!seen) return t("presence.offline");
  const minutes = Math.floor((nowMs - seen) / 60_000);
  if (minutes < 1) return t("seen.now");
  if (minutes < 60) return t("seen.minutes", { count: minutes });
  const days = daysAgo(seen, nowMs);
  if (days > 1) return t("seen.on", { day: made(listTime(seen, nowMs)) });
  const time = made(timeOfDay(seen));
  return days === 0 ? t("seen.at", { time }) : t("seen.yesterday", { time });
}

/** A length as people say it: `5 minutes`, `a day`, `4 weeks`. */
export function lengthLine(seconds: number): string {
  const units = [["length.weeks", 604_800], ["length.days", 86_400], ["length.hours", 3600], ["length.minutes", 60]] as const;
  const [key, size] = units.find(([, length]) => seconds >= length && seconds % length === 0) ?? (["length.seconds", 1] as const);
  return t(key, { count: Math.round(seconds / size) });
}

/** Day and time, for what is further away than the thread shows. */
export function dateTime(ms: number): string {
  return date(ms, DAY_AND_TIME);
}

/** A voice message; its audio is an attachment. */
export function voiceLine(lengthS: number): string {
  return t("message.voice", { length: made(duration(lengthS)) });
}

type CallContent = Extract<Message["content"], { kind: "call" }>;

/** The record of a call, as the conversation shows it. `own` when this user placed it. */
export function callLine({ video, outcome, lengthS }: CallContent, own: boolean): string {
  const call = made(video ? t("video.call") : t("voice.call"));
  const detail = (text: string): string => t("record.detail", { call, detail: made(text) });
  const missed = (): string => (video ? t("record.missed.video") : t("record.missed.voice"));
  switch (outcome) {
    case "completed":
      return detail(duration(lengthS));
    case "failed":
      return t("record.lost", { call, length: made(duration(lengthS)) });
    case "declined":
      return detail(t("record.declined"));
    case "busy":
      return own ? detail(t("record.busy")) : missed();
    case "missed":
      return own ? detail(t("record.unanswered")) : missed();
    case "cancelled":
      return own ? detail(t("record.cancelled")) : missed();
  }
}

/** One or two letters for the round picture. */
export function initials(name: string): string {
  const words = name.trim().split(/[\s._-]+/).filter(Boolean);
  const letters = words.length > 1 ? [words[0], words.at(-1)] : [words[0]];
  return letters.map((word) => graphemes(word ?? "?")[0]?.toUpperCase() ?? "").join("");
}

/** Which of the avatar tints a user gets: the same one on every device. */
export function avatarTone(userId: string, tones = 6): number {
  let hash = 0;
  for (const char of userId) hash = (hash * 31 + (char.codePointAt(0) ?? 0)) >>> 0;
  return hash % tones;
}
