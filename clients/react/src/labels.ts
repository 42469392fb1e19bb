import { type CallOutcome, endLine, type GroupEvent, groupEndLine, type EndReason, type Told } from "@parley/client";

/** All that the components say. Give those that differ to the provider or to a component; the rest is English. */
export interface Labels {
  // The list of conversations.
  readonly conversations: string;
  readonly noConversations: string;
  readonly moreConversations: string;
  readonly unread: (count: number) => string;
  readonly markedUnread: string;
  readonly draft: (text: string) => string;
  readonly notSent: string;
  readonly online: string;
  readonly noMessages: string;
  /** Before one's own message in a preview. */
  readonly youSaid: (text: string) => string;
  /** Before somebody's message in the preview of a group. */
  readonly said: (name: string, text: string) => string;
  // The thread.
  readonly messages: (name: string) => string;
  readonly olderMessages: string;
  readonly loading: string;
  readonly olderFailed: string;
  readonly newestMessages: string;
  /** `names` is a list as the locale writes it. */
  readonly typing: (names: string, count: number) => string;
  readonly you: string;
  readonly edited: string;
  readonly forwarded: string;
  /** In place of a file that each recipient opens once. */
  readonly viewOnce: string;
  readonly openOnce: string;
  readonly opened: string;
  readonly closeOnce: string;
  readonly vanishes: (time: string) => string;
  readonly unsent: string;
  readonly newerKind: string;
  readonly masked: string;
  readonly voice: (length: string) => string;
  readonly poll: (question: string) => string;
  readonly sticker: (description: string) => string;
  /** `own`: the reader's is among them. */
  readonly votes: (count: number, own: boolean) => string;
  readonly chooseOne: string;
  readonly chooseSeveral: string;
  readonly takeVoteBack: string;
  readonly files: (count: number) => string;
  readonly openFile: (name: string, size: string) => string;
  readonly fileFailed: string;
  readonly earlierMessage: string;
  readonly reply: string;
  readonly replyTo: (name: string) => string;
  readonly reaction: (emoji: string, names: string) => string;
  readonly sending: string;
  readonly sent: string;
  readonly delivered: string;
  readonly read: string;
  readonly readBy: (count: number) => string;
  readonly tryAgain: string;
  readonly discard: string;
  readonly groupEvent: (event: GroupEvent, by: string, nameOf: (userId: string) => string) => string;
  readonly callRecord: (outcome: CallOutcome, own: boolean, video: boolean, length: string) => string;
  // The composer.
  readonly writeTo: (name: string) => string;
  readonly write: string;
  readonly send: string;
  readonly tooLong: (excess: string) => string;
  readonly charsLeft: (count: string) => string;
  readonly notSentCount: (count: number) => string;
  readonly cannotWrite: (name: string) => string;
  readonly endReply: string;
  readonly stickers: string;
  readonly searchStickers: string;
  readonly noStickers: string;
  readonly stickersFailed: string;
  // Calls.
  readonly call: (name: string) => string;
  readonly voiceCall: (name: string) => string;
  readonly videoCall: (name: string) => string;
  readonly incomingCall: (name: string, video: boolean) => string;
  readonly droppedCall: (name: string) => string;
  readonly groupCall: string;
  readonly answer: string;
  readonly answerWithVideo: string;
  readonly decline: string;
  readonly returnToCall: string;
  readonly calling: string;
  readonly ringing: string;
  readonly connecting: string;
  readonly reconnecting: string;
  readonly callEnded: (reason: EndReason | undefined, name: string, byCaller: boolean, group: boolean) => string;
  readonly mute: string;
  readonly unmute: string;
  readonly cameraOn: string;
  readonly cameraOff: string;
  readonly hangUp: string;
  readonly muted: string;
  /** Of somebody whose device cannot decrypt, and is sent nothing until the user allows it; an empty name: this device. */
  readonly cannotDecrypt: (name: string) => string;
  /** The same person or device, once it is sent all in the clear. */
  readonly sentInClear: (name: string) => string;
  readonly sendUnencrypted: string;
  readonly people: string;
  readonly videoOf: (name: string) => string;
  readonly screenOf: (name: string) => string;
  // What went wrong.
  readonly told: (told: Told) => string;
}

const OUTCOMES: Record<CallOutcome, string> = {
  completed: "",
  missed: "not answered",
  declined: "declined",
  cancelled: "cancelled",
  busy: "busy",
  failed: "failed",
};

function callRecord(outcome: CallOutcome, own: boolean, video: boolean, length: string): string {
  const kind = video ? "Video call" : "Voice call";
  if (outcome === "completed") return `${kind}, ${length}`;
  if (!own && (outcome === "missed" || outcome === "cancelled")) return `Missed ${kind.toLowerCase()}`;
  return `${kind}, ${OUTCOMES[outcome]}`;
}

function groupEvent(event: GroupEvent, by: string, nameOf: (userId: string) => string): string {
  switch (event.kind) {
    case "created":
      return `${by} created the group`;
    case "left":
      return `${by} left the group`;
    case "joined":
      return `${by} joined the group`;
    case "added":
      return `${by} added ${event.userIds.map(nameOf).join(", ")}`;
    case "removed":
      return `${by} removed ${nameOf(event.userId)}`;
    case "renamed":
      return `${by} named the group “${event.title}”`;
    case "role_changed":
      return `${by} changed the role of ${nameOf(event.userId)}`;
    case "vanishing_changed":
      return event.vanishAfterS > 0 ? `${by} made new messages vanish` : `${by} made new messages stay`;
    case "pinned":
      return `${by} pinned a message`;
  }
}

const plural = (count: number, one: string, more: string): string => `${count} ${count === 1 ? one : more}`;

export const ENGLISH: Labels = {
  conversations: "Conversations",
  noConversations: "No conversations yet",
  moreConversations: "Show older conversations",
  unread: (count) => plural(count, "unread message", "unread messages"),
  markedUnread: "Marked as unread",
  draft: (text) => `Draft: ${text}`,
  notSent: "Not sent",
  online: "Online",
  noMessages: "No messages yet",
  youSaid: (text) => `You: ${text}`,
  said: (name, text) => `${name}: ${text}`,
  messages: (name) => `Messages with ${name}`,
  olderMessages: "Show earlier messages",
  loading: "Loading…",
  olderFailed: "Earlier messages could not be loaded.",
  newestMessages: "To the newest messages",
  typing: (names, count) => `${names} ${count === 1 ? "is" : "are"} typing…`,
  you: "You",
  edited: "edited",
  forwarded: "Forwarded",
  viewOnce: "View once",
  openOnce: "Open once",
  opened: "Opened",
  closeOnce: "Close",
  vanishes: (time) => `Vanishes ${time}`,
  unsent: "This message was taken back",
  newerKind: "This message needs a newer version",
  masked: "Some words were masked",
  voice: (length) => `Voice message, ${length}`,
  poll: (question) => `Poll: ${question}`,
  sticker: (description) => `Sticker: ${description}`,
  votes: (count, own) => `${plural(count, "vote", "votes")}${own ? ", yours too" : ""}`,
  chooseOne: "Choose one.",
  chooseSeveral: "Choose one or several.",
  takeVoteBack: "Take the vote back",
  files: (count) => plural(count, "file", "files"),
  openFile: (name, size) => `Open ${name}, ${size}`,
  fileFailed: "This file could not be opened.",
  earlierMessage: "An earlier message",
  reply: "Reply",
  replyTo: (name) => `Reply to ${name}`,
  reaction: (emoji, names) => `${emoji} by ${names}`,
  sending: "Sending",
  sent: "Sent",
  delivered: "Delivered",
  read: "Read",
  readBy: (count) => `Read by ${count}`,
  tryAgain: "Try again",
  discard: "Delete",
  groupEvent,
  callRecord,
  writeTo: (name) => `Message to ${name}`,
  write: "Write a message",
  send: "Send",
  tooLong: (excess) => `Too long by ${excess} characters`,
  charsLeft: (count) => `${count} characters left`,
  notSentCount: (count) => `${plural(count, "message was", "messages were")} not sent.`,
  cannotWrite: (name) => `You cannot write to ${name} at the moment.`,
  endReply: "Do not reply",
  stickers: "Stickers",
  searchStickers: "Search stickers",
  noStickers: "No stickers were found.",
  stickersFailed: "Stickers could not be loaded.",
  call: (name) => `Call with ${name}`,
  voiceCall: (name) => `Call ${name}`,
  videoCall: (name) => `Video call ${name}`,
  incomingCall: (name, video) => `${video ? "Video call" : "Call"} from ${name}`,
  droppedCall: (name) => `You are still in the call with ${name}`,
  groupCall: "Group call",
  answer: "Answer",
  answerWithVideo: "Answer with video",
  decline: "Decline",
  returnToCall: "Return",
  calling: "Calling…",
  ringing: "Ringing…",
  connecting: "Connecting…",
  reconnecting: "Reconnecting…",
  callEnded: (reason, name, byCaller, group) => (group ? groupEndLine(reason) : endLine(reason, name, byCaller)),
  mute: "Mute",
  unmute: "Unmute",
  cameraOn: "Turn camera on",
  cameraOff: "Turn camera off",
  hangUp: "Hang up",
  muted: "Muted",
  cannotDecrypt: (name) => (name ? `${name} cannot take part in encrypted calls, and does not see or hear you.` : "Your other devices have not confirmed this one: nobody sees or hears you."),
  sentInClear: (name) => (name ? `What you send is not encrypted end to end: ${name} cannot decrypt it.` : "What you send is not encrypted end to end: this device is not confirmed."),
  sendUnencrypted: "Send unencrypted",
  people: "People in the call",
  videoOf: (name) => `Video of ${name}`,
  screenOf: (name) => `Screen of ${name}`,
  told: ({ line }) => line,
};
