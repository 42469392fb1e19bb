import type { Conversation, Member, Message, Outgoing, OwnState } from "./model.js";

/** How far a member's cursors moved; 0 for one that did not. */
export interface CursorMove {
  readonly readSeq: number;
  readonly deliveredSeq: number;
}

/** What the store holds of one conversation. */
export interface StoredConversation {
  conversation: Conversation;
  messages: readonly Message[];
  own: OwnState;
  /** Up to where `own.unreadCount` has counted. */
  countedSeq: number;
  outgoing: Outgoing[];
  /** All changes up to this one are applied. The conversation itself may be newer, since responses carry it out of turn. */
  revision: number;
}

/** The member with cursors no further back than they were. */
export function mergeCursors(member: Member, than: CursorMove | undefined): Member {
  const readSeq = Math.max(member.readSeq, than?.readSeq ?? 0);
  return { ...member, readSeq, deliveredSeq: Math.max(member.deliveredSeq, than?.deliveredSeq ?? 0, readSeq) };
}

/** Counts a change. Returns false when others before it are missing. */
export function advanceRevision(entry: StoredConversation, revision: number): boolean {
  if (revision > entry.revision + 1) return false;
  entry.revision = Math.max(entry.revision, revision);
  return true;
}

/** Replaces held messages by newer copies. Messages that are not held are left to history. */
export function replaceCopies(entry: StoredConversation, copies: readonly Message[]): void {
  const newest = new Map<number, Message>();
  for (const copy of copies) if (copy.revision > (newest.get(copy.seq)?.revision ?? 0)) newest.set(copy.seq, copy);
  if (newest.size === 0) return;
  entry.messages = entry.messages.map((held) => {
    const copy = newest.get(held.seq);
    return copy && copy.revision > held.revision ? copy : held;
  });
}

export function activityMs(entry: StoredConversation): number {
  const sent = entry.messages.at(-1)?.sendTimeMs ?? entry.conversation.createTimeMs;
  return Math.max(sent, entry.outgoing.at(-1)?.createTimeMs ?? 0);
}
