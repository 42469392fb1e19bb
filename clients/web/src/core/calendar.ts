import type { ScheduledCall } from "./model.js";

/** RFC 5545, section 3.1: a line has at most 75 octets, without its break. */
const LINE_OCTETS = 75;

/**
 * A scheduled call as an iCalendar object (RFC 5545), for calendars of this user's: `text/calendar`. `address` leads to it, or is
 * empty; whoever has the file has the address. A later version takes the place of an earlier one, by UID and SEQUENCE.
 */
export function calendarOf(call: ScheduledCall, address = ""): string {
  const endMs = call.startTimeMs + call.lengthS * 1000;
  const reminder = ["BEGIN:VALARM", "ACTION:DISPLAY", `DESCRIPTION:${escaped(call.title)}`, `TRIGGER:-PT${call.reminderS}S`, "END:VALARM"];
  const lines = [
    "BEGIN:VCALENDAR",
    "VERSION:2.0",
    "PRODID:-//Parley//Scheduled calls//EN",
    "BEGIN:VEVENT",
    `UID:${call.id}@parley`,
    `SEQUENCE:${call.version}`,
    `DTSTAMP:${utc(call.createTimeMs)}`,
    `DTSTART:${utc(call.startTimeMs)}`,
    `DTEND:${utc(endMs)}`,
    `SUMMARY:${escaped(call.title)}`,
    `STATUS:${call.state === "cancelled" ? "CANCELLED" : "CONFIRMED"}`,
    ...(address ? [`URL:${address}`] : []),
    ...(call.reminderS > 0 ? reminder : []),
    "END:VEVENT",
    "END:VCALENDAR",
  ];
  return lines.map((line) => `${folded(line)}\r\n`).join("");
}

/** `20260101T120000Z`. */
function utc(ms: number): string {
  return `${new Date(ms).toISOString().slice(0, 19).replaceAll(/[-:]/g, "")}Z`;
}

/** Section 3.3.11. Without controls, which no text has. */
function escaped(text: string): string {
  const line = text.replaceAll(/[\\;,]/g, String.raw`\$&`).replaceAll(/\r\n|[\r\n]/g, String.raw`\n`);
  return [...line].filter((character) => character >= " " && character !== "\u007f").join("");
}

/** A longer line goes on in the next one, after a space; no character is cut in two. */
function folded(line: string): string {
  const encoder = new TextEncoder();
  const parts: string[] = [];
  let [part, octets] = ["", 0];
  for (const character of line) {
    const size = encoder.encode(character).length;
    // The space of a line that goes on counts, too.
    if (octets + size > LINE_OCTETS - (parts.length > 0 ? 1 : 0)) {
      parts.push(part);
      [part, octets] = ["", 0];
    }
    part += character;
    octets += size;
  }
  return [...parts, part].join("\r\n ");
}
