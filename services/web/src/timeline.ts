import type { Attachment, ConversationView, KeyNews, Message, Outgoing, Receipt } from "@parley/client";
import { isUserContent, receiptOf } from "@parley/client";
import { dayLabel, voiceLine } from "./format";
import { t } from "./text";

/** One row of a conversation, top to bottom. */
export type Row =
  | { readonly kind: "day"; readonly key: string; readonly label: string }
  /** Above the first message that was new when the conversation was opened. */
  | { readonly kind: "new"; readonly key: "new" }
  | { readonly kind: "call" | "system"; readonly key: string; readonly message: Message }
  | { readonly kind: "keys"; readonly key: string; readonly news: KeyNews }
  | BubbleRow;

export interface BubbleRow {
  readonly kind: "text";
  readonly key: string;
  readonly own: boolean;
  readonly senderId: string;
  readonly text: string;
  readonly timeMs: number;
  /** First and last of a run of messages by one sender close in time. */
  readonly first: boolean;
  readonly last: boolean;
  /** Undefined while it is on its way. */
  readonly message: Message | undefined;
  readonly outgoing: Outgoing | undefined;
  /** The message that this one answers. */
  readonly quote: Quote | undefined;
  readonly attachments: readonly Attachment[];
  /** Of one's own messages in a direct conversation. */
  readonly receipt: Receipt | undefined;
  /** Under the newest of one's own messages in a group only: the number of members who have read it. */
  readonly status: string | undefined;
}

export interface Quote {
  readonly seq: number;
  /** Undefined when it is not loaded. */
  readonly message: Message | undefined;
}

/** Messages of one sender closer than this are grouped. */
const RUN_MS = 3 * 60_000;

interface Line {
  readonly key: string;
  readonly own: boolean;
  readonly sender: string;
  readonly timeMs: number;
  /** Undefined for what is no bubble. */
  readonly text: string | undefined;
  readonly replyToSeq: number;
  readonly attachments: readonly Attachment[];
  readonly message: Message | undefined;
  readonly outgoing: Outgoing | undefined;
  readonly news?: KeyNews;
}

/** Lays a conversation out: days, runs, call records, lines about the group, and what is still on its way. What has vanished is left out. What others wrote after `readSeq` is new. */
export function layOut(view: ConversationView, selfId: string, nowMs: number, news: readonly KeyNews[] = [], readSeq = Number.POSITIVE_INFINITY): Row[] {
  const shown = view.messages.filter((m) => m.content.kind !== "expired");
  const lines = [...shown.map((m) => fromMessage(m, selfId)), ...view.outgoing.map((o) => fromOutgoing(o, selfId))];
  for (const each of newsOf(view, news)) lines.splice(lines.findLastIndex((line) => line.timeMs <= each.timeMs) + 1, 0, fromNews(each));
  const newestOwn = lines.filter((line) => line.own && line.message).at(-1);
  const firstNew = firstAfter(lines, view, readSeq);
  const rows: Row[] = [];
  lines.forEach((line, i) => {
    const [before, after] = [lines[i - 1], lines[i + 1]];
    const newDay = !before || dayKey(before.timeMs) !== dayKey(line.timeMs);
    if (newDay) rows.push({ kind: "day", key: `day-${dayKey(line.timeMs)}-${line.key}`, label: dayLabel(line.timeMs, nowMs) });
    if (line === firstNew) rows.push({ kind: "new", key: "new" });
    const { key, own, timeMs, message, outgoing, text, sender: senderId } = line;
    if (line.news) return void rows.push({ kind: "keys", key, news: line.news });
    if (text === undefined) return void (message && rows.push({ kind: message.content.kind === "system" ? "system" : "call", key, message }));
    const first = newDay || line === firstNew || !sameRun(before, line);
    const last = !after || !sameRun(line, after) || dayKey(after.timeMs) !== dayKey(timeMs);
    const direct = view.conversation.kind === "direct";
    const receipt = own && direct && message && isUserContent(message.content) ? receiptOf(view.conversation, message.seq, selfId) : undefined;
    const status = !direct && line === newestOwn && !after && message ? readStatus(view, message, selfId) : undefined;
    const { attachments } = line;
    rows.push({ kind: "text", key, own, senderId, text, timeMs, first, last, message, outgoing, attachments, receipt, quote: quote(view, line.replyToSeq), status });
  });
  return rows;
}

/** The first that others wrote after `readSeq`; undefined where what came right after it is not loaded. */
function firstAfter(lines: readonly Line[], { messages }: ConversationView, readSeq: number): Line | undefined {
  if (readSeq + 1 < (messages[0]?.seq ?? 0)) return undefined;
  return lines.find(({ own, message }) => !own && message !== undefined && message.seq > readSeq);
}

/** By how many it was read. */
function readStatus({ conversation }: ConversationView, { seq }: Message, selfId: string): string {
  const others = conversation.members.filter((m) => m.userId !== selfId);
  const readers = others.filter((m) => m.readSeq >= seq).length;
  if (readers === 0) return t("receipt.sent");
  return readers === others.length ? t("read.all") : t("read.by", { count: readers });
}

function quote({ messages }: ConversationView, seq: number): Quote | undefined {
  if (seq === 0) return undefined;
  const low = messages[0]?.seq ?? 0;
  const message = messages[seq - low];
  return { seq, message: message?.content.kind === "expired" ? undefined : message };
}

/** Undefined for what is no bubble. Every kind is named, so that the compiler asks for a new one. */
function bubbleText({ content }: Message): string | undefined {
  switch (content.kind) {
    case "text":
      return content.text;
    case "voice":
      return voiceLine(content.lengthS);
    case "poll":
      return content.question;
    case "sticker":
      return content.description;
    case "unsent":
      return t("message.unsent");
    case "unknown":
      return t("message.newer");
    case "call":
    case "system":
    case "expired":
      return undefined;
  }
}

function fromMessage(message: Message, selfId: string): Line {
  const { senderId, clientMessageId, replyToSeq, sendTimeMs } = message;
  const own = senderId === selfId;
  // One's own message keeps its key when it is acknowledged, so that its bubble stays instead of being drawn anew.
  const key = own && clientMessageId ? clientMessageId : message.id;
  return { key, own, sender: senderId, timeMs: sendTimeMs, text: bubbleText(message), replyToSeq, attachments: message.attachments, message, outgoing: undefined };
}

function fromOutgoing(outgoing: Outgoing, selfId: string): Line {
  const { clientMessageId, createTimeMs, text, replyToSeq, attachments } = outgoing;
  return { key: clientMessageId, own: true, sender: selfId, timeMs: createTimeMs, text, replyToSeq, attachments, message: undefined, outgoing };
}

/** What became of the keys of people in this conversation, as far back as messages are shown. */
function newsOf({ conversation, messages, hasOlder }: ConversationView, news: readonly KeyNews[]): KeyNews[] {
  const since = hasOlder ? (messages[0]?.sendTimeMs ?? 0) : 0;
  return news.filter(({ userId, timeMs }) => timeMs >= since && conversation.members.some((member) => member.userId === userId));
}

function fromNews(news: KeyNews): Line {
  const { userId, kind, timeMs } = news;
  return { key: `keys-${userId}-${kind}-${timeMs}`, own: false, sender: userId, timeMs, text: undefined, replyToSeq: 0, attachments: [], message: undefined, outgoing: undefined, news };
}

function sameRun(a: Line | undefined, b: Line): boolean {
  if (!a || a.text === undefined || b.text === undefined) return false;
  return a.sender === b.sender && b.timeMs - a.timeMs < RUN_MS;
}

function dayKey(ms: number): string {
  return new Date(ms).toDateString();
}
