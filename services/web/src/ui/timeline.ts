import type { ConversationView, Message, Outgoing } from "../parley";
import { dayLabel } from "./format";

/** One row of a conversation, top to bottom. */
export type Row =
  | { readonly kind: "day"; readonly key: string; readonly label: string }
  | { readonly kind: "call"; readonly key: string; readonly message: Message }
  | {
      readonly kind: "text";
      readonly key: string;
      readonly own: boolean;
      readonly text: string;
      readonly timeMs: number;
      /** First and last of a run of messages by one sender close in time. */
      readonly first: boolean;
      readonly last: boolean;
      readonly outgoing: Outgoing | undefined;
      /** Under the newest of one's own messages only. */
      readonly status: "sent" | "read" | undefined;
    };

/** Messages of one sender closer than this stand together. */
const RUN_MS = 3 * 60_000;

interface Line {
  readonly key: string;
  readonly own: boolean;
  readonly sender: string;
  readonly timeMs: number;
  readonly text: string | undefined;
  readonly message: Message | undefined;
  readonly outgoing: Outgoing | undefined;
}

/** Lays a conversation out: days, runs, call records, and what is still on its way. */
export function layOut(view: ConversationView, selfId: string, nowMs: number): Row[] {
  const lines = [...view.messages.map((m) => fromMessage(m, selfId)), ...view.outgoing.map((o) => fromOutgoing(o, selfId))];
  const newestOwn = lines.filter((line) => line.own && line.message).at(-1);
  const readSeq = Math.max(0, ...view.conversation.members.filter((m) => m.userId !== selfId).map((m) => m.readSeq));
  const rows: Row[] = [];
  lines.forEach((line, i) => {
    const [before, after] = [lines[i - 1], lines[i + 1]];
    const newDay = !before || dayKey(before.timeMs) !== dayKey(line.timeMs);
    if (newDay) rows.push({ kind: "day", key: `day-${dayKey(line.timeMs)}-${line.key}`, label: dayLabel(line.timeMs, nowMs) });
    if (line.text === undefined && line.message) return void rows.push({ kind: "call", key: line.key, message: line.message });
    const first = newDay || !sameRun(before, line);
    const last = !after || !sameRun(line, after) || dayKey(after.timeMs) !== dayKey(line.timeMs);
    const seen = line.message && line.message.seq <= readSeq;
    const status = line === newestOwn && !after ? (seen ? "read" : "sent") : undefined;
    const { key, own, timeMs, outgoing } = line;
    rows.push({ kind: "text", key, own, text: line.text ?? "", timeMs, first, last, outgoing, status });
  });
  return rows;
}

function fromMessage(message: Message, selfId: string): Line {
  const { content, senderId, clientMessageId } = message;
  const own = senderId === selfId;
  const texts = { text: content.kind === "text" ? content.text : "", unknown: "This message needs a newer Parley.", call: undefined };
  // One's own message keeps its key when it is acknowledged, so that its bubble stays instead of being drawn anew.
  const key = own && clientMessageId ? clientMessageId : message.id;
  return { key, own, sender: senderId, timeMs: message.sendTimeMs, text: texts[content.kind], message, outgoing: undefined };
}

function fromOutgoing(outgoing: Outgoing, selfId: string): Line {
  const { clientMessageId, createTimeMs, text } = outgoing;
  return { key: clientMessageId, own: true, sender: selfId, timeMs: createTimeMs, text, message: undefined, outgoing };
}

function sameRun(a: Line | undefined, b: Line): boolean {
  if (!a || a.text === undefined || b.text === undefined) return false;
  return a.sender === b.sender && b.timeMs - a.timeMs < RUN_MS;
}

function dayKey(ms: number): string {
  return new Date(ms).toDateString();
}
