import type { Message } from "./model.js";

/** From when on new messages may vanish, in seconds, as people choose it; 0 keeps them. The service takes 5 minutes to a year. */
export const VANISH_CHOICES_S: readonly number[] = [0, 300, 3600, 86_400, 7 * 86_400, 30 * 86_400];

/** What is left of a message whose time is over: its place. */
function vanished(message: Message): Message {
  return { ...message, content: { kind: "expired" }, reactions: [], attachments: [], replyToSeq: 0, edited: false, forwarded: false, viewOnce: false, openedBy: [], expireTimeMs: undefined };
}

/** The messages without those whose time is over at `nowMs`; the same array when there are none. */
export function withoutExpired(messages: readonly Message[], nowMs: number): readonly Message[] {
  const isOver = ({ expireTimeMs }: Message): boolean => expireTimeMs !== undefined && expireTimeMs <= nowMs;
  return messages.some(isOver) ? messages.map((m) => (isOver(m) ? vanished(m) : m)) : messages;
}

/** When the next of the messages vanishes; undefined when none does. */
export function nextExpiryMs(messages: readonly Message[]): number | undefined {
  const times = messages.flatMap((m) => (m.expireTimeMs === undefined ? [] : [m.expireTimeMs]));
  return times.length > 0 ? times.reduce((a, b) => Math.min(a, b)) : undefined;
}
