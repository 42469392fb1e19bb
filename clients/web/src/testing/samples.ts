import type { Conversation, Member, Message, Outgoing, OwnState } from "../index.js";
import { DEFAULT_OWN_STATE } from "../core/own-state.js";

/** Plain values for tests; `change` has what a test is about. */
export const ROOM = "room";

export function member(userId: string, change: Partial<Member> = {}): Member {
  return { userId, readSeq: 0, deliveredSeq: 0, role: "member", visibleAfterSeq: 0, ...change };
}

const NO_SETTINGS = { avatarRef: "", historyOpen: false, adminsAdd: false, vanishAfterS: 0, historyStartSeq: 0, pinned: [] };

export function own(change: Partial<OwnState> = {}): OwnState {
  return { ...DEFAULT_OWN_STATE, ...change };
}

/** Alice and Bob. */
export function conversation(change: Partial<Conversation> = {}): Conversation {
  const members = [member("alice"), member("bob")];
  return { id: ROOM, kind: "direct", title: "", members, lastSeq: 0, createTimeMs: 0, revision: 0, ...NO_SETTINGS, ...change };
}

export function message(seq: number, change: Partial<Message> = {}): Message {
  return {
    id: `m${seq}`,
    conversationId: ROOM,
    seq,
    senderId: "bob",
    clientMessageId: `c${seq}`,
    sendTimeMs: seq * 1000,
    content: { kind: "text", text: `${seq}`, entities: [] },
    replyToSeq: 0,
    reactions: [],
    attachments: [],
    edited: false,
    forwarded: false,
    viewOnce: false,
    openedBy: [],
    expireTimeMs: undefined,
    revision: 0,
    ...change,
  };
}

export function outgoing(clientMessageId: string, change: Partial<Outgoing> = {}): Outgoing {
  const sending = { state: "sending", problem: undefined, retryable: true, held: false } as const;
  return { clientMessageId, conversationId: ROOM, text: "hi", entities: [], replyToSeq: 0, attachments: [], viewOnce: false, createTimeMs: 1, ...sending, ...change };
}
