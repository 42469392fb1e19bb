import type { Message, Outgoing } from "@parley/client";

/** One row of a thread, top to bottom; `first` of a run of one sender. What it says follows from the message; see `message-row.tsx`. */
export type Row =
  | { readonly kind: "day"; readonly key: string; readonly timeMs: number }
  | { readonly kind: "line"; readonly key: string; readonly message: Message }
  | { readonly kind: "message"; readonly key: string; readonly message: Message; readonly first: boolean }
  | { readonly kind: "outgoing"; readonly key: string; readonly outgoing: Outgoing; readonly first: boolean };

/** Messages of one sender closer than this are drawn as one run. Raising it: fewer times and names; lowering it: more. */
const RUN_MS = 3 * 60_000;

interface Entry {
  readonly key: string;
  readonly senderId: string;
  readonly timeMs: number;
  readonly message: Message | undefined;
  readonly outgoing: Outgoing | undefined;
  /** Days, calls and what happened to a group stand between the bubbles. */
  readonly bubble: boolean;
}

/** Days, runs of one sender, lines about calls and the group, and what is on its way. What has vanished is left out. */
export function layOut(messages: readonly Message[], outgoing: readonly Outgoing[], selfId: string): Row[] {
  const shown = messages.filter(({ content }) => content.kind !== "expired");
  const entries = [...shown.map((message) => ofMessage(message, selfId)), ...outgoing.map((waiting) => ofOutgoing(waiting, selfId))];
  const isSameDay = dayComparer();
  const rows: Row[] = [];
  let before: Entry | undefined;
  for (const entry of entries) {
    const sameDay = before !== undefined && isSameDay(before.timeMs, entry.timeMs);
    if (!sameDay) rows.push({ kind: "day", key: `day-${entry.key}`, timeMs: entry.timeMs });
    rows.push(rowOf(entry, !before || !sameDay || !isRun(before, entry)));
    before = entry;
  }
  return rows;
}

function rowOf({ key, message, outgoing, bubble }: Entry, first: boolean): Row {
  if (outgoing) return { kind: "outgoing", key, outgoing, first };
  return bubble ? { kind: "message", key, message: message as Message, first } : { kind: "line", key, message: message as Message };
}

function ofMessage(message: Message, selfId: string): Entry {
  const { senderId, clientMessageId, sendTimeMs: timeMs, id, content } = message;
  // One's own keeps its key when it is acknowledged, so that its row stays instead of being drawn anew.
  const key = senderId === selfId && clientMessageId ? clientMessageId : id;
  return { key, senderId, timeMs, message, outgoing: undefined, bubble: content.kind !== "call" && content.kind !== "system" };
}

function ofOutgoing(outgoing: Outgoing, selfId: string): Entry {
  return { key: outgoing.clientMessageId, senderId: selfId, timeMs: outgoing.createTimeMs, message: undefined, outgoing, bubble: true };
}

function isRun(a: Entry, b: Entry): boolean {
  return a.bubble && b.bubble && a.senderId === b.senderId && b.timeMs - a.timeMs < RUN_MS;
}

/** Compares by this device's calendar, and asks it once a day of messages rather than once a message. */
function dayComparer(): (aMs: number, bMs: number) => boolean {
  let [fromMs, untilMs] = [1, 0];
  return (aMs, bMs) => {
    if (aMs < fromMs || aMs >= untilMs) {
      const day = new Date(aMs);
      fromMs = day.setHours(0, 0, 0, 0);
      untilMs = day.setDate(day.getDate() + 1);
    }
    return bMs >= fromMs && bMs < untilMs;
  };
}
