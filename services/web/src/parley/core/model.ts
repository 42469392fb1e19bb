/** What the client knows, as plain values. Times are milliseconds since 1970 (`…Ms`), lengths seconds (`…S`). */

export interface Member {
  readonly userId: string;
  /** All messages up to and including this seq have been read. */
  readonly readSeq: number;
}

export interface Conversation {
  readonly id: string;
  readonly members: readonly Member[];
  readonly lastSeq: number;
  readonly createTimeMs: number;
}

export type CallOutcome = "completed" | "missed" | "declined" | "cancelled" | "busy" | "failed";

export type Content =
  | { readonly kind: "text"; readonly text: string }
  | {
      readonly kind: "call";
      readonly callId: string;
      readonly video: boolean;
      readonly outcome: CallOutcome;
      readonly lengthS: number;
    }
  /** Sent by a newer Parley than this client knows. */
  | { readonly kind: "unknown" };

export interface Message {
  readonly id: string;
  readonly conversationId: string;
  /** 1, 2, 3 … within the conversation, without gaps. */
  readonly seq: number;
  readonly senderId: string;
  readonly clientMessageId: string;
  readonly sendTimeMs: number;
  readonly content: Content;
}

/** A message of this device that the server has not acknowledged yet. */
export interface Outgoing {
  readonly clientMessageId: string;
  readonly conversationId: string;
  readonly text: string;
  readonly createTimeMs: number;
  readonly state: "sending" | "failed";
  /** A readable line; set when failed. */
  readonly problem: string | undefined;
  /** Whether sending the same again can succeed. */
  readonly retryable: boolean;
}

export type CallServerState = "ringing" | "active" | "ended";
export type EndReason = "hung_up" | "missed" | "declined" | "cancelled" | "busy" | "media_lost";

export interface CallParticipant {
  readonly userId: string;
  /** Empty for a callee that has not answered. */
  readonly deviceId: string;
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
}

export interface Presence {
  readonly online: boolean;
  readonly lastSeenMs: number | undefined;
}
