/** What the client knows, as plain values. Times are milliseconds since 1970 (`…Ms`), lengths seconds (`…S`). */
import type { Told } from "./user-messages.js";

export type Role = "member" | "admin" | "owner";

export interface Member {
  readonly userId: string;
  /** All messages up to and including this seq have been read, as far as the member lets others know. One's own is in OwnState. */
  readonly readSeq: number;
  /** All messages up to and including this seq have reached a device of the member, as far as the member lets others know. */
  readonly deliveredSeq: number;
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
  /** Groups only: where the network keeps the picture; empty for none. */
  readonly avatarRef: string;
  /** Groups only: whether new members see earlier messages. */
  readonly historyOpen: boolean;
  /** Groups only: whether only admins and the owner may add people. */
  readonly adminsAdd: boolean;
  /** New messages vanish this long after they were sent; 0 when they stay. */
  readonly vanishAfterS: number;
  /** Messages up to and including this seq are gone by the retention policy; 0 when none are. */
  readonly historyStartSeq: number;
  /** What all members keep in view, the latest pinned first. `shownPins` leaves out what this user may not see, or is gone. */
  readonly pinned: readonly PinnedMessage[];
}

export interface PinnedMessage {
  readonly seq: number;
  readonly pinTimeMs: number;
}

/** Whether a conversation is a request: `none` (accepted), `pending` in Requests, or `declined`. */
export type RequestState = "none" | "pending" | "declined";

/** The user's own settings of a conversation; nobody else sees this. */
export interface OwnState {
  readonly pinned: boolean;
  readonly archived: boolean;
  /** Until when it is quiet; undefined when it is not muted. */
  readonly muteEndMs: number | undefined;
  readonly markedUnread: boolean;
  /** As the service counted; what came since is counted by the store. */
  readonly unreadCount: number;
  /** Up to where the user has read, on any device. */
  readonly readSeq: number;
  readonly request: RequestState;
}

export type CallOutcome = "completed" | "missed" | "declined" | "cancelled" | "busy" | "failed";

/** What a part of a text means. Offset and length count Unicode code points. */
export type Entity = { readonly offset: number; readonly length: number } & (
  | { readonly kind: "mention"; readonly userId: string }
  /** http or https. */
  | { readonly kind: "link"; readonly url: string }
);

/**
 * What is behind a link of a text, as its sender's device says; nobody has looked whether it is so. Show the host of `url`
 * (`targetOf`) beside it, and fetch nothing from there.
 */
export interface LinkPreview {
  /** http or https. */
  readonly url: string;
  readonly title: string;
  /** May be empty, as `siteName`. */
  readonly description: string;
  readonly siteName: string;
}

/** A text as one writes it. */
export interface WrittenText {
  readonly text: string;
  readonly entities?: readonly Entity[] | undefined;
  /** Of a link of the text. What the service does not take for one is left out. */
  readonly preview?: LinkPreview | undefined;
}

/** What happened to a conversation; the message's sender did it. */
export type GroupEvent =
  | { readonly kind: "created" | "left" | "joined" }
  | { readonly kind: "added"; readonly userIds: readonly string[] }
  | { readonly kind: "removed"; readonly userId: string }
  | { readonly kind: "renamed"; readonly title: string }
  | { readonly kind: "role_changed"; readonly userId: string; readonly role: Role }
  /** 0 when messages stay from now on. */
  | { readonly kind: "vanishing_changed"; readonly vanishAfterS: number }
  | { readonly kind: "pinned"; readonly seq: number };

/** A question to vote on. */
export interface Poll {
  readonly kind: "poll";
  readonly question: string;
  readonly options: readonly PollOption[];
  /** Whether a person may choose several. */
  readonly multiple: boolean;
}

/** `userIds` chose it, the first one first. */
export interface PollOption {
  readonly text: string;
  readonly userIds: readonly string[];
}

/** A poll that is to be sent: 2 to 10 options, no two of them the same. */
export interface NewPoll extends Pick<Poll, "question" | "multiple"> {
  readonly options: readonly string[];
}

/** A sticker or a GIF that a provider keeps. `stickerSource` says whether it may be loaded; else its description stands for it. */
export interface Sticker {
  readonly kind: "sticker";
  /** Empty to who has not let the conversation in. */
  readonly url: string;
  /** Pixels. */
  readonly width: number;
  readonly height: number;
  readonly description: string;
}

/** A sticker that is to be sent, of a host that the service allows. `providerRef`: what the provider calls it. */
export interface NewSticker extends Omit<Sticker, "kind"> {
  readonly providerRef?: string;
  readonly replyToSeq?: number;
}

/** Finds stickers: where one may send them from. */
export interface StickerProvider {
  /**
   * Those that fit the words, the best first; for no words, what is offered first. Those of hosts that the service does not allow are
   * left out. `signal`: nobody waits for the answer any more.
   */
  search(words: string, signal: AbortSignal): Promise<readonly NewSticker[]>;
  /** Shown below them, for providers that ask for it: `Powered by …`. */
  readonly credit?: string;
}

/** A voice message that is to be sent. */
export interface NewVoice {
  /** The sound, with its type (`audio/*`). */
  readonly body: Blob;
  /** 0.1 to 900. */
  readonly lengthS: number;
  /** How loud it is in equal parts of its length, from 0 for silence to 255; at most 128 of them. */
  readonly waveform?: Uint8Array<ArrayBuffer>;
  /** Each recipient may hear it once. */
  readonly viewOnce?: boolean;
  readonly replyToSeq?: number;
}

export type Content =
  /** `masked`: the network has put stars in place of words, or of all of it. */
  | { readonly kind: "text"; readonly text: string; readonly entities: readonly Entity[]; readonly masked?: true; readonly preview?: LinkPreview | undefined }
  | {
      readonly kind: "call";
      readonly callId: string;
      readonly video: boolean;
      readonly outcome: CallOutcome;
      readonly lengthS: number;
    }
  /** Audio, which is the message's one attachment. */
  | { readonly kind: "voice"; readonly lengthS: number }
  | Poll
  | Sticker
  | { readonly kind: "system"; readonly event: GroupEvent }
  /** Its sender took it back. */
  | { readonly kind: "unsent" }
  /** Its time was over, or its sender's account was deleted. */
  | { readonly kind: "expired" }
  /** Sent by a newer Parley than this client knows. */
  | { readonly kind: "unknown" };

export interface Reaction {
  readonly emoji: string;
  readonly userIds: readonly string[];
}

/** A file of a message; its bytes are in the object store. */
export interface Attachment {
  readonly id: string;
  readonly fileName: string;
  /** Such as image/jpeg. */
  readonly contentType: string;
  readonly sizeBytes: number;
  /** Of pictures and videos, in pixels; 0 when not known. */
  readonly width: number;
  readonly height: number;
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
  readonly attachments: readonly Attachment[];
  readonly edited: boolean;
  /** A copy of another message; it does not say of which. Nobody edits it. */
  readonly forwarded: boolean;
  /** Each recipient opens its one attachment once (`downloads.openOnce`); without the attachment there is nothing left to open. */
  readonly viewOnce: boolean;
  /** Of a view-once message: who has opened it, the first one first. */
  readonly openedBy: readonly string[];
  /** When it vanishes; undefined when it stays. */
  readonly expireTimeMs: number | undefined;
  /** The conversation's revision of its last change, 0 when there was none; of two copies the higher is newer. */
  readonly revision: number;
}

/** A message of this device that the server has not acknowledged yet. */
export interface Outgoing {
  readonly clientMessageId: string;
  readonly conversationId: string;
  readonly text: string;
  readonly entities: readonly Entity[];
  readonly preview?: LinkPreview | undefined;
  readonly replyToSeq: number;
  readonly attachments: readonly Attachment[];
  readonly viewOnce: boolean;
  readonly createTimeMs: number;
  readonly state: "sending" | "failed";
  /** Set when failed, or when it waits because the service asked for it. */
  readonly problem: Told | undefined;
  /** Whether sending the same again can succeed. */
  readonly retryable: boolean;
  /** The service has it, and it waits for a review there. */
  readonly held: boolean;
}

/** A message of this user that waits for its time. Nobody else knows of it. */
export interface ScheduledMessage {
  readonly conversationId: string;
  /** That of the message that is sent. */
  readonly clientMessageId: string;
  readonly content: Content;
  readonly replyToSeq: number;
  readonly attachments: readonly Attachment[];
  readonly sendTimeMs: number;
  /** `refused` at its time; `held`: the network reviews it. */
  readonly state: "waiting" | "sending" | "refused" | "held";
  /** Why it was refused. */
  readonly problem: Told | undefined;
  /** Of two copies the higher is newer. */
  readonly revision: number;
}

/** A text as it was before an edit. */
export interface Edit {
  readonly text: string;
  readonly writeTimeMs: number;
}

export interface Invite {
  readonly token: string;
  readonly expireTimeMs: number;
}

export type CallServerState = "ringing" | "active" | "ended";
export type EndReason = "hung_up" | "missed" | "declined" | "cancelled" | "busy" | "media_lost";

/** A member's state in a call; `out` may join while it runs, `left` may come back, `removed` may not. */
export type ParticipantState = "ringing" | "joined" | "out" | "left" | "removed";

export interface CallParticipant {
  readonly userId: string;
  /** The device with which the member is in the call; empty for a member who is not. */
  readonly deviceId: string;
  readonly state: ParticipantState;
  /** Since when the hand is up. */
  readonly handRaiseTimeMs: number | undefined;
  /** When an admin last asked for silence. */
  readonly muteRequestTimeMs: number | undefined;
  /** Came by a join link, and is not in the conversation: to be marked for everybody. */
  readonly guest: boolean;
}

/** Somebody outside of the conversation who opened a join link and waits for a host. */
export interface LobbyGuest {
  readonly userId: string;
  readonly linkId: string;
  readonly knockTimeMs: number;
}

export type LobbyPlaceState = "waiting" | "admitted" | "refused" | "closed";

/** Where this user stands in the lobby of a call. */
export interface LobbyPlace {
  readonly callId: string;
  /** The link by which it was entered; empty with an older server. */
  readonly linkId: string;
  readonly state: LobbyPlaceState;
  /** Of two copies the higher is newer. */
  readonly version: number;
}

/** A way into one call for people outside of its conversation. */
export interface JoinLink {
  readonly id: string;
  /** Empty while the time of its scheduled call has not come. */
  readonly callId: string;
  /** Empty when that account was deleted. */
  readonly makerUserId: string;
  readonly createTimeMs: number;
  readonly expireTimeMs: number;
  readonly revokeTimeMs: number | undefined;
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
  /** Nobody new gets in. */
  readonly locked: boolean;
  /** Rises with each move of the media to another worker. */
  readonly mediaEpoch: number;
  /** Who waits to be let in; guests are told of nobody. */
  readonly lobby: readonly LobbyGuest[];
}

/** `open`: its time has come. `unattended`: nobody came. */
export type ScheduledCallState = "planned" | "open" | "ended" | "unattended" | "cancelled";

export type AttendanceAnswer = "yes" | "no" | "maybe";

/** What somebody plans. */
export interface ScheduledCallDraft {
  readonly title: string;
  readonly video: boolean;
  readonly startTimeMs: number;
  readonly lengthS: number;
  /** So long before, everybody is reminded; 0: nobody is. */
  readonly reminderS: number;
}

/** A call that somebody planned in a conversation. */
export interface ScheduledCall extends ScheduledCallDraft {
  readonly id: string;
  readonly conversationId: string;
  /** Empty when that account was deleted. */
  readonly makerUserId: string;
  readonly state: ScheduledCallState;
  /** In a group from its time on: the call, for `Calls.join`. */
  readonly callId: string;
  readonly answers: Readonly<Record<string, AttendanceAnswer>>;
  readonly createTimeMs: number;
  /** Of two copies the higher is newer. */
  readonly version: number;
  readonly group: boolean;
}

export interface Presence {
  readonly online: boolean;
  readonly lastSeenMs: number | undefined;
}
