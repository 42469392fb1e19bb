import { sizeLine } from "./sizes.js";
import type { EndReason } from "./model.js";

/**
 * What people are told, as facts, and as a line in English. An interface in another language makes its own line of the facts:
 * of a failure by reason, field and code, of everything else by key and values.
 */
export type Told = Failure | UserMessage;

/** What went wrong, in a form that the interface can act on and show. */
export interface Failure {
  /** gRPC code in lower case, such as `not_found`. */
  readonly code: string;
  /** The `reason` of google.rpc.ErrorInfo, such as `CALL_ENDED`. */
  readonly reason: string | undefined;
  /** The field of the request that was not accepted, such as `size_bytes`. */
  readonly field: string | undefined;
  /** How long the server asked to wait; 0 when it did not. */
  readonly retryDelayMs: number;
  /** The same request may succeed later. */
  readonly transient: boolean;
  /** A line for people. */
  readonly line: string;
  /** What the service or the browser said, in English, for developers; it may be empty. */
  readonly detail: string;
}

/** What the client itself has to tell. */
export interface UserMessage {
  readonly key: MessageKey;
  /** What the line's places are filled with; `bytes` is a size. */
  readonly values: Readonly<Record<string, string | number>>;
  readonly line: string;
}

export type MessageKey = keyof typeof MESSAGE_LINES;

/** What the client tells by itself; `{name}` is filled in. */
export const MESSAGE_LINES = {
  removed_from_call: "You were removed from this call.",
  lost_too_long: "The connection was lost for too long.",
  call_moved: "The call goes on on your other device",
  answered_elsewhere: "Answered on another device",
  declined_elsewhere: "Declined on another device",
  left_group: "You are no longer in “{group}”.",
  sending_too_fast: "You are sending too fast. This goes out in a moment.",
  file_being_checked: "The file is being checked. This goes out in a moment.",
  file_empty: "This file is empty.",
  file_too_large: "This file is too large. At most {bytes} can be sent.",
  file_type: "Files of this type cannot be sent. Pictures, sounds, videos, PDF, plain text, CSV and ZIP can.",
  file_not_as_named: "This file is not what it says it is, so it cannot be sent.",
  file_not_sent: "The file could not be sent. Check the connection and try again.",
  file_not_accepted: "The file was not accepted. Please try again.",
  file_says_more: "It may still say who made it, where and when.",
  too_many_files: "At most {count} files go with one message.",
  no_token: "This is not a token.",
  token_without_user: "This token names no user.",
  bad_user_id: "A user id is made of letters, digits, dots, dashes and underscores, and not too long.",
  no_development_login: "The development login is not available here.",
} as const;

export function userMessage(key: MessageKey, values: UserMessage["values"] = {}): UserMessage {
  const fill = (_: string, name: string): string => (name === "bytes" ? sizeLine(Number(values[name])) : String(values[name] ?? ""));
  return { key, values, line: MESSAGE_LINES[key].replace(/\{(\w+)\}/g, fill) };
}

/** Why a camera or microphone is not there. */
export type DeviceProblem = "refused" | "missing" | "in_use" | "insecure";

/** By the `reason` of google.rpc.ErrorInfo. */
export const REASON_LINES = {
  TOKEN_MISSING: "You are not logged in.",
  TOKEN_INVALID: "Your login was not accepted. Please log in again.",
  TOKEN_EXPIRED: "Your login has expired. Please log in again.",
  TOKEN_REVOKED: "This device was signed out. Please log in again.",
  CONVERSATION_NOT_FOUND: "This conversation could not be found.",
  MESSAGE_NOT_FOUND: "This message could not be found.",
  MEMBER_NOT_FOUND: "This person is not in the group any more.",
  INVITE_NOT_FOUND: "This invite link is no longer valid. Ask for a new one.",
  BANNED: "This person was removed from the group. Only an admin can let them in again.",
  ROLE_TOO_LOW: "Your role in this group does not allow that.",
  NOT_THE_SENDER: "Only who wrote a message can change it.",
  NOT_A_GROUP: "This is not a group.",
  NOT_EDITABLE: "This message can no longer be changed.",
  NOT_FORWARDABLE: "This message cannot be forwarded.",
  VIEW_ONCE: "This can be opened once, and not be fetched in another way.",
  ALREADY_OPENED: "You have opened this already.",
  STICKER_HOST_NOT_ALLOWED: "Stickers from there cannot be sent here.",
  EDIT_TOO_LATE: "It is too late to edit this message.",
  TOO_MANY_EDITS: "This message has been edited too often to be edited again.",
  TOO_MANY_MEMBERS: "The group is full.",
  TOO_MANY_REACTIONS: "This message has no room for another reaction.",
  TOO_MANY_PINS: "This conversation has as many pinned messages as it may. Unpin one first.",
  CONVERSATION_FROZEN: "Nobody can write here for now.",
  MESSAGE_HELD: "This is being reviewed. It is sent when it passes.",
  MESSAGE_REFUSED: "This was not accepted. It goes against the rules here.",
  HELD_NOT_FOUND: "This is no longer being reviewed.",
  HELD_DECIDED: "This has been let through, and is being sent. You can take it back once it is there.",
  SCHEDULED_NOT_FOUND: "This message is no longer scheduled.",
  SCHEDULED_SENT: "This was sent, or is being sent. You can take it back once it is there.",
  SCHEDULED_CANCELLED: "This message was cancelled before.",
  TOO_MANY_SCHEDULED: "You have scheduled as many messages as you may. Cancel one first.",
  TOO_MANY_DRAFTS: "You have left as many texts unsent as can be kept.",
  HOOK_UNAVAILABLE: "This cannot be checked right now.",
  ACCOUNT_RESTRICTED: "You cannot write for now.",
  NOT_ALLOWED: "You cannot write to this person.",
  REQUEST_PENDING: "This can be done once they have accepted your request.",
  REQUEST_PENDING_LIMIT: "You can write more once they have accepted your request.",
  REQUEST_QUOTA: "You have written to many new people today.",
  CONVERSATION_QUOTA: "You have started many new conversations today.",
  SEND_RATE: "You are sending too fast.",
  RATE_LIMITED: "That was too much at once.",
  TOO_MANY_BLOCKS: "Your list of blocked people is full.",
  REPORT_QUOTA: "You have sent many reports today.",
  ATTACHMENT_NOT_FOUND: "This file could not be found.",
  ATTACHMENT_NOT_UPLOADED: "The file has not arrived completely. Remove it and add it again.",
  ATTACHMENT_NOT_SCANNED: "The file is still being checked. Please try again in a moment.",
  ATTACHMENT_REFUSED: "This file cannot be sent. What is in it is not what it says it is, or it was found to be harmful.",
  TOO_MANY_UPLOADS: "Too many files are waiting to be sent.",
  OBJECTS_UNAVAILABLE: "Files cannot be reached right now.",
  JOB_NOT_FOUND: "This export is no longer there. Start a new one.",
  ACCOUNT_DELETED: "This account has been deleted.",
  OVERLOADED: "Parley is very busy. Please try again in a moment.",
  STORE_UNAVAILABLE: "Parley cannot be reached right now.",
  SHUTTING_DOWN: "Parley cannot be reached right now.",
  KEYS_UNAVAILABLE: "Your sign-in cannot be checked right now.",
  ROUTER_UNAVAILABLE: "Live updates cannot be reached right now.",
  DRAINING: "The server is restarting.",
  SLOW_CONSUMER: "The connection is too slow for live updates.",
  TOO_MANY_DEVICES: "You are online on too many devices.",
  TOO_MANY_STREAMS: "Parley is very busy. Please try again in a moment.",
  DEVICE_LIMIT: "Parley was opened on too many devices, so this one was closed.",
  REPLACED: "Parley was opened in another window.",
  ALREADY_IN_CALL: "You are already in a call.",
  NO_MEDIA_WORKER: "All call lines are busy. Please try again in a moment.",
  ANSWERED_ELSEWHERE: "The call was answered on another device.",
  ALREADY_ANSWERED: "The call was already answered.",
  CALL_ENDED: "The call has ended.",
  CALL_NOT_FOUND: "The call has ended.",
  NOT_IN_CALL: "You are no longer in this call.",
  NOT_GROUP_CALL: "This is not a group's call.",
  CALL_LOCKED: "This call is locked. Nobody new can join.",
  CALL_FULL: "This call is full.",
  ACCOUNT_KEY_OUTDATED: "Please try again.",
  DEVICE_KEYS_NOT_FOUND: "Please try again.",
  KEY_DEVICE_LIMIT: "Too many devices.",
  JOIN_LINK_NOT_FOUND: "This link leads to no call. Ask for a new one.",
  JOIN_LINK_CLOSED: "This link is no longer valid. Ask for a new one.",
  JOIN_LINK_LIMIT: "This call has as many links as it may. Revoke one first.",
  LOBBY_FULL: "Too many people are waiting for this call. Please try again later.",
  LOBBY_REFUSED: "You were not let into this call.",
  NOT_HOST: "Only the hosts of this call can do that.",
  SCHEDULED_CALL_NOT_FOUND: "This planned call is not there any more.",
  SCHEDULED_CALL_OVER: "The time of this call has come, or it was cancelled.",
  SCHEDULED_CALL_LIMIT: "As many calls are planned as may be. Cancel one first.",
  REMOVED_FROM_CALL: "You were removed from this call.",
  CALL_NOT_ALLOWED: "This call cannot be placed right now.",
  CALL_RATE: "You have placed many calls.",
  NOT_ADMIN: "Only admins of the group can do that.",
  PARTICIPANT_NOT_FOUND: "This person is not in the call any more.",
  MEDIA_UNAVAILABLE: "The call's server cannot be reached right now.",
  PROVIDER_NOT_SERVED: "No notifications are sent to this device here.",
  TOO_MANY_CONVERSATIONS: "You have set this for as many conversations as you may.",
};

/** By gRPC code, where the reason has no line. */
export const CODE_LINES = {
  invalid_argument: "That was not accepted. Please check what you entered.",
  not_found: "That could not be found.",
  permission_denied: "You are not allowed to do that.",
  unauthenticated: "Please log in again.",
  resource_exhausted: "That was too much at once. Please try again in a moment.",
  unavailable: "Parley cannot be reached right now.",
  canceled: "Parley cannot be reached right now.",
  deadline_exceeded: "Parley took too long to answer.",
};

/** By the field of the request that was not accepted. */
export const FIELD_LINES = {
  size_bytes: "This file is too large.",
  content_type: "Files of this type cannot be sent.",
  file_name: "This file's name cannot be used.",
  emoji: "This cannot be a reaction.",
  title: "This name cannot be used.",
  query: "Enter a word to search for.",
  send_time: "Choose a time within the next 30 days.",
  peer_user_id: "There is no such person.",
  avatar_ref: "This picture cannot be used.",
};

/** Details of an error. */
export interface ErrorDetails {
  readonly field?: string | undefined;
  readonly retryDelayMs?: number;
}

/** A line for people. `reason` is google.rpc.ErrorInfo's, `code` the gRPC code in lower case. */
export function errorLine(code: string, reason: string | undefined, { field, retryDelayMs = 0 }: ErrorDetails = {}): string {
  const line = lineFor(REASON_LINES, reason) ?? lineFor(FIELD_LINES, field) ?? lineFor(CODE_LINES, code) ?? "Something went wrong. Please try again.";
  return saysWhenToRetry(reason) ? `${line} ${retryLine(retryDelayMs)}` : line;
}

function lineFor(lines: Readonly<Record<string, string>>, key: string | undefined): string | undefined {
  return key !== undefined && Object.hasOwn(lines, key) ? lines[key] : undefined;
}

/** Where the wait is what people want to know. */
const WAITING = new Set(["CONVERSATION_QUOTA", "REQUEST_QUOTA", "SEND_RATE", "RATE_LIMITED", "REPORT_QUOTA", "TOO_MANY_UPLOADS", "CALL_RATE"]);

/** Whether the line of a failure is followed by when to try again. */
export function saysWhenToRetry(reason: string | undefined): boolean {
  return reason !== undefined && WAITING.has(reason);
}

/** When to try again. */
export function retryLine(delayMs: number): string {
  const minutes = Math.ceil(delayMs / 60_000);
  if (delayMs <= 0) return "Please try again later.";
  if (delayMs < 60_000) return "Please try again in a moment.";
  if (minutes < 60) return `Please try again in ${minutes === 1 ? "a minute" : `${minutes} minutes`}.`;
  const hours = Math.round(minutes / 60);
  return `Please try again in ${hours === 1 ? "an hour" : `${hours} hours`}.`;
}

/** What people cannot send, and a line about it. */
export interface DeviceProblems {
  readonly camera: DeviceProblem | undefined;
  readonly microphone: DeviceProblem | undefined;
  readonly line: string;
}

/** Undefined when all is there. */
export function deviceProblems(camera: DeviceProblem | undefined, microphone: DeviceProblem | undefined): DeviceProblems | undefined {
  const line = deviceLine(camera, microphone);
  return line === undefined ? undefined : { camera, microphone, line };
}

/** A line for people about what they cannot send, or undefined when all is there. */
export function deviceLine(camera: DeviceProblem | undefined, microphone: DeviceProblem | undefined): string | undefined {
  if (camera && camera === microphone) return deviceSentence("camera and microphone", camera, true);
  const lines = [
    camera && deviceSentence("camera", camera, false),
    microphone && deviceSentence("microphone", microphone, false),
  ];
  return lines.filter(Boolean).join(" ") || undefined;
}

function deviceSentence(what: string, problem: DeviceProblem, plural: boolean): string {
  const are = plural ? "are" : "is";
  switch (problem) {
    case "refused":
      return `Your ${what} ${are} blocked. Allow ${plural ? "them" : "it"} in the browser's site settings.`;
    case "missing":
      return plural ? "No camera and no microphone were found." : `No ${what} was found.`;
    case "in_use":
      return `Your ${what} ${are} in use by another program.`;
    case "insecure":
      return `Your ${what} can only be used over HTTPS.`;
  }
}

/** How a group's call ended. */
export function groupEndLine(reason: EndReason | undefined): string {
  const unanswered = reason === "missed" || reason === "declined" || reason === "busy";
  return unanswered ? "Nobody joined" : reason === "media_lost" ? "The connection was lost" : "Call ended";
}

/** How a call ended, for the one who sees the call window; `peer` is the other's name. */
export function endLine(reason: EndReason | undefined, peer: string, byCaller: boolean): string {
  switch (reason) {
    case "declined":
      return byCaller ? `${peer} declined the call` : "Call declined";
    case "missed":
      return byCaller ? `${peer} did not answer` : "Missed call";
    case "cancelled":
      return "Call cancelled";
    case "busy":
      return `${peer} is in another call`;
    case "media_lost":
      return "The connection was lost";
    default:
      return "Call ended";
  }
}
