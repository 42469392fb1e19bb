import type { Message, Presence } from "@parley/client";
import { graphemes } from "@parley/client";

const DAY_MS = 86_400_000;

export function timeOfDay(ms: number): string {
  return new Date(ms).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
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
  if (days === 0) return "Today";
  if (days === 1) return "Yesterday";
  if (days < 7) return new Date(ms).toLocaleDateString([], { weekday: "long" });
  const sameYear = new Date(ms).getFullYear() === new Date(nowMs).getFullYear();
  return new Date(ms).toLocaleDateString([], { day: "numeric", month: "long", ...(sameYear ? {} : { year: "numeric" }) });
}

/** When, as short as a list needs it. */
export function listTime(ms: number, nowMs: number): string {
  const days = daysAgo(ms, nowMs);
  if (days === 0) return timeOfDay(ms);
  if (days === 1) return "Yesterday";
  if (days < 7) return new Date(ms).toLocaleDateString([], { weekday: "short" });
  return new Date(ms).toLocaleDateString([], { day: "numeric", month: "short" });
}

/** `1:23`, or `1:02:03` from an hour on. */
export function duration(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds));
  const [h, m, s] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  const tail = `${h > 0 ? String(m).padStart(2, "0") : m}:${String(s).padStart(2, "0")}`;
  return h > 0 ? `${h}:${tail}` : tail;
}

/** The line under a person's name. */
export function presenceLine(presence: Presence | undefined, nowMs: number): string {
  if (!presence) return "";
  if (presence.online) return "Online";
  const seen = presence.lastSeenMs;
  if (!seen) return "Offline";
  const minutes = Math.floor((nowMs - seen) / 60_000);
  if (minutes < 1) return "Last seen just now";
  if (minutes < 60) return `Last seen ${minutes} min ago`;
  const days = daysAgo(seen, nowMs);
  if (days === 0) return `Last seen at ${timeOfDay(seen)}`;
  return days === 1 ? `Last seen yesterday at ${timeOfDay(seen)}` : `Last seen ${listTime(seen, nowMs)}`;
}

/** A length as people say it: `5 minutes`, `a day`, `4 weeks`. */
export function lengthLine(seconds: number): string {
  const units = [["week", 604_800, "a"], ["day", 86_400, "a"], ["hour", 3600, "an"], ["minute", 60, "a"]] as const;
  for (const [unit, size, article] of units) {
    if (seconds < size || seconds % size !== 0) continue;
    const count = seconds / size;
    return count === 1 ? `${article} ${unit}` : `${count} ${unit}s`;
  }
  return `${Math.round(seconds)} seconds`;
}

/** Day and time, for what is further away than the thread shows. */
export function dateTime(ms: number): string {
  return new Date(ms).toLocaleString([], { day: "numeric", month: "short", year: "numeric", hour: "2-digit", minute: "2-digit" });
}

/** A voice message; its audio is an attachment. */
export function voiceLine(lengthS: number): string {
  return `Voice message · ${duration(lengthS)}`;
}

type CallContent = Extract<Message["content"], { kind: "call" }>;

/** The record of a call, as the conversation shows it. `own` when this user placed it. */
export function callLine(call: CallContent, own: boolean): string {
  const what = call.video ? "Video call" : "Voice call";
  switch (call.outcome) {
    case "completed":
      return `${what} · ${duration(call.lengthS)}`;
    case "failed":
      return `${what} · ${duration(call.lengthS)} · connection lost`;
    case "declined":
      return `${what} · declined`;
    case "busy":
      return own ? `${what} · busy` : `Missed ${what.toLowerCase()}`;
    case "missed":
      return own ? `${what} · no answer` : `Missed ${what.toLowerCase()}`;
    case "cancelled":
      return own ? `${what} · cancelled` : `Missed ${what.toLowerCase()}`;
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
