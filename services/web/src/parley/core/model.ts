/** What the client knows, as plain values. Times are milliseconds since 1970 (`…Ms`), lengths seconds (`…S`). */

export type Role = "member" | "admin" | "owner";

export interface Member {
  readonly userId: string;
  /** All messages up to and including this seq have been read. */
  readonly readSeq: number;
  readonly role: Role;
  /** The member sees only messages above this seq. */
  readonly visibleAfterSeq: number;
}

export interface Conversation {
  readonly id: string;
  readonly kind: "direct" | "group";
  /** Groups only; empty otherwise. */
  readonly title: string;
  readonly members: readonly Member[];
  readonly lastSeq: number;
  readonly createTimeMs: number;
  /** Counts the changes other than new messages; of two copies the higher is newer. */
  readonly revision: number;
}

export type CallOutcome = "completed" | "missed" | "declined" | "cancelled" | "busy" | "failed";

/** What a part of a text means. Offset and length count Unicode code points. */
export type Entity = { readonly offset: number; readonly length: number } & (
  | { readonly kind: "mention"; readonly userId: string }
  /** http or https. */
  | { readonly kind: "link"; readonly url: string }
);

/** What happened to a group; the message's sender did it. */
export type GroupEvent =
  | { readonly kind: "created" | "left" | "joined" }
  | { readonly kind: "added"; readonly userIds: readonly string[] }
  | { readonly kind: "removed"; readonly userId: string }
  | { readonly kind: "renamed"; readonly title: string }
  | { readonly kind: "role_changed"; readonly userId: string; readonly role: Role };

export type Content =
  | { readonly kind: "text"; readonly text: string; readonly entities: readonly Entity[] }
  | {
      readonly kind: "call";
      readonly callId: string;
      readonly video: boolean;
      readonly outcome: CallOutcome;
      readonly lengthS: number;
    }
  | { readonly kind: "system"; readonly event: GroupEvent }
  /** Its sender took it back. */
  | { readonly kind: "unsent" }
  /** Sent by a newer Parley than this client knows. */
  | { readonly kind: "unknown" };

export interface Reaction {
  readonly emoji: string;
  readonly userIds: readonly string[];
}

export interface Message {
  readonly id: string;
  readonly conversationId: string;
  /** 1, 2, 3 … within the conversation, without gaps. */
  readonly seq: number;
  readonly senderId: string;
  readonly clientMessageId: string;
  readonly sendTimeMs: number;
  readonly content: Content;
  /** The message that this one answers; 0 for none. */
  readonly replyToSeq: number;
  readonly reactions: readonly Reaction[];
  readonly edited: boolean;
  /** The conversation's revision of its last change, 0 when there was none; of two copies the higher is newer. */
  readonly revision: number;
}

/** A message of this device that the server has not acknowledged yet. */
export interface Outgoing {
  readonly clientMessageId: string;
  readonly conversationId: string;
  readonly text: string;
  readonly entities: readonly Entity[];
  readonly replyToSeq: number;
  readonly createTimeMs: number;
  readonly state: "sending" | "failed";
  /** A readable line; set when failed. */
  readonly problem: string | undefined;
  /** Whether sending the same again can succeed. */
  readonly retryable: boolean;
}

export interface Invite {
  readonly token: string;
  readonly expireTimeMs: number;
}

export type CallServerState = "ringing" | "active" | "ended";
export type EndReason = "hung_up" | "missed" | "declined" | "cancelled" | "busy" | "media_lost";

export interface CallParticipant {
  readonly userId: string;
  /** Empty for a callee that has not answered. */
  readonly deviceId: string;
  /** Rung now; a group's call rings some while others talk. */
  readonly ringing: boolean;
}

export interface Call {
  readonly id: string;
  readonly conversationId: string;
  readonly callerId: string;
  readonly video: boolean;
  readonly state: CallServerState;
  readonly endReason: EndReason | undefined;
  readonly participants: readonly CallParticipant[];
  readonly answerTimeMs: number | undefined;
  readonly endTimeMs: number | undefined;
  /** Of two copies the higher is newer. */
  readonly version: number;
  readonly group: boolean;
  /** Rises when the media goes over to another worker. */
  readonly mediaEpoch: number;
}

export interface Presence {
  readonly online: boolean;
  readonly lastSeenMs: number | undefined;
}
