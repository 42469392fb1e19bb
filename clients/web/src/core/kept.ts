import type { Content, Conversation, Member, Message, Outgoing, OwnState } from "./model.js";
import { DEFAULT_OWN_STATE } from "./own-state.js";
import { withoutExpired } from "./vanishing.js";

/**
 * The form of what a device keeps over a reload. What was kept in another form is fetched anew; messages that wait to be
 * sent stay. A new field needs no other form: what lacks it gets what stands below. Raise it where that would be wrong.
 */
export const KEPT_FORMAT = 1;

/**
 * So many conversations are kept, the most recently active ones. Raising it shows more while offline, and writes and reads
 * more; at most as many as Sync is told the cursors of, so that none of them can fall behind unseen.
 */
export const MAX_KEPT_CONVERSATIONS = 200;

/** Of each conversation the newest. Raising it shows more while offline; lowering it opens sooner. */
export const MAX_KEPT_MESSAGES = 100;

/** A conversation as it is kept. */
export interface KeptConversation {
  readonly conversation: Conversation;
  readonly messages: readonly Message[];
  readonly own: OwnState;
  readonly countedSeq: number;
  readonly revision: number;
}

/** A person as the network told of them. */
export interface KeptPerson {
  readonly userId: string;
  readonly name: string;
  readonly avatarUrl: string;
}

/** All that a device kept. */
export interface Kept {
  /** The service's token for how far this device was synchronised; empty for nothing. */
  readonly syncToken: string;
  readonly conversations: readonly KeptConversation[];
  readonly people: readonly KeptPerson[];
  /** Messages that were not acknowledged, in the order of writing. */
  readonly unsent: readonly Outgoing[];
  /** Rises with each change of the conversations, in whichever window. */
  readonly version: number;
}

/** Without what has vanished by `nowMs`; the same object when nothing has. */
export function withoutVanished(kept: KeptConversation, nowMs: number): KeptConversation {
  const messages = withoutExpired(kept.messages, nowMs);
  return messages === kept.messages ? kept : { ...kept, messages };
}

/** With what a former release did not know yet. */
export function completed({ conversation, messages, own, countedSeq, revision }: KeptConversation): KeptConversation {
  return {
    conversation: { ...BLANK_CONVERSATION, ...conversation, members: conversation.members.map((member) => ({ ...BLANK_MEMBER, ...member })) },
    messages: messages.map((message) => ({ ...BLANK_MESSAGE, ...message, content: CONTENT_KINDS[message.content.kind] ? message.content : { kind: "unknown" } })),
    own: { ...DEFAULT_OWN_STATE, ...own },
    countedSeq,
    revision,
  };
}

/** A message that waited when the page was closed: one that can be sent is sent, and one that was refused is still shown so. */
export function waiting(outgoing: Outgoing): Outgoing {
  const whole = { ...BLANK_OUTGOING, ...outgoing };
  return whole.state === "failed" && !whole.retryable ? whole : { ...whole, state: "sending", problem: undefined };
}

const BLANK_MEMBER: Member = { userId: "", readSeq: 0, deliveredSeq: 0, role: "member", visibleAfterSeq: 0 };

const BLANK_CONVERSATION: Conversation = {
  id: "",
  kind: "direct",
  title: "",
  members: [],
  lastSeq: 0,
  createTimeMs: 0,
  revision: 0,
  avatarRef: "",
  historyOpen: false,
  adminsAdd: false,
  vanishAfterS: 0,
  historyStartSeq: 0,
  pinned: [],
};

const BLANK_MESSAGE: Message = {
  id: "",
  conversationId: "",
  seq: 0,
  senderId: "",
  clientMessageId: "",
  sendTimeMs: 0,
  content: { kind: "unknown" },
  replyToSeq: 0,
  forwarded: false,
  viewOnce: false,
  openedBy: [],
  reactions: [],
  attachments: [],
  edited: false,
  expireTimeMs: undefined,
  revision: 0,
};

const BLANK_OUTGOING: Outgoing = {
  clientMessageId: "",
  conversationId: "",
  text: "",
  entities: [],
  replyToSeq: 0,
  attachments: [],
  viewOnce: false,
  createTimeMs: 0,
  state: "sending",
  problem: undefined,
  retryable: true,
  held: false,
};

/** What a newer release has kept of a kind that this one does not know is shown as such. */
const CONTENT_KINDS: Record<Content["kind"], true> = { text: true, call: true, voice: true, poll: true, sticker: true, system: true, unsent: true, expired: true, unknown: true };
