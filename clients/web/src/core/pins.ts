import type { Conversation, Message } from "./model.js";

/** A pinned message as this device shows it; `message` is undefined while it is not loaded. */
export interface ShownPin {
  readonly seq: number;
  readonly message: Message | undefined;
}

const isGone = ({ content }: Message): boolean => content.kind === "unsent" || content.kind === "expired";

/** The pinned messages that this user may see and that stand, the latest pinned first. */
export function shownPins(conversation: Conversation, messages: readonly Message[], selfId: string): ShownPin[] {
  const from = conversation.members.find((m) => m.userId === selfId)?.visibleAfterSeq ?? 0;
  const pins = conversation.pinned.filter(({ seq }) => seq > from).map(({ seq }) => ({ seq, message: messages.find((m) => m.seq === seq) }));
  return pins.filter(({ message }) => !message || !isGone(message));
}

/**
 * The conversation after one of its messages was told: a pin ends with its message, also where that is not loaded. The
 * revision keeps an older copy of the conversation from bringing it back.
 */
export function withoutPinOf(conversation: Conversation, message: Message): Conversation {
  if (!isGone(message) || !conversation.pinned.some(({ seq }) => seq === message.seq)) return conversation;
  const pinned = conversation.pinned.filter(({ seq }) => seq !== message.seq);
  return { ...conversation, pinned, revision: Math.max(conversation.revision, message.revision) };
}
