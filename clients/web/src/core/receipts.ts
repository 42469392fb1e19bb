import type { Content, Conversation, Message } from "./model.js";

/** The receipt of one's own message, as far as others send receipts. */
export type Receipt = "sent" | "delivered" | "read";

/** Of a direct conversation. */
export function receiptOf(conversation: Conversation, seq: number, selfId: string): Receipt {
  const other = conversation.members.find((m) => m.userId !== selfId);
  if (!other) return "sent";
  if (other.readSeq >= seq) return "read";
  return other.deliveredSeq >= seq ? "delivered" : "sent";
}

export interface GroupReceipt {
  readonly read: readonly string[];
  /** Reached a device, but not read. */
  readonly delivered: readonly string[];
}

/** The members of a group that one's own message reached. */
export function groupReceipt({ members }: Conversation, seq: number, selfId: string): GroupReceipt {
  const others = members.filter((m) => m.userId !== selfId);
  const read = others.filter((m) => m.readSeq >= seq);
  const delivered = others.filter((m) => m.readSeq < seq && m.deliveredSeq >= seq);
  return { read: read.map((m) => m.userId), delivered: delivered.map((m) => m.userId) };
}

/** Whether a person wrote, spoke, asked or showed it, so that it can be unsent, reported and seen to be read. */
export const isUserContent = ({ kind }: Content): boolean => kind === "text" || kind === "voice" || kind === "poll" || kind === "sticker";

/** Whether a message above the read cursor counts as unread: texts, voice messages, polls, stickers and calls of others. */
export function countsAsUnread(message: Message, selfId: string): boolean {
  return message.senderId !== selfId && (isUserContent(message.content) || message.content.kind === "call");
}
