/**
 * What a push of Parley's holds, for service workers: `@parley/client/notices`. It takes in nothing else of the library.
 * docs/operations/notifications.md has the fields.
 */
import { displayName } from "./core/display-name.js";

export type NoticeKind = "message" | "mention" | "reply" | "reaction" | "request" | "call" | "missed_call" | "call_reminder" | "call_begins";

interface Pushed {
  /** What collapses: use it as the `tag`. */
  readonly thread: string;
  /** Of two of one thread, the higher is newer. */
  readonly version: number;
  /** The number on the app's icon. */
  readonly badge: number;
}

/** Show it, in place of what the thread shows. A text is empty where it was left out: for requests, and with previews off. */
export interface ShownNotice extends Pushed {
  readonly type: "notice";
  readonly kind: NoticeKind;
  readonly conversationId: string;
  readonly timeMs: number;
  /** Make no sound. */
  readonly quiet: boolean;
  readonly fromUserId: string;
  /** Of a group. */
  readonly title: string;
  /** What was written; what a scheduled call is about. */
  readonly text: string;
  /** Of a ringing call. */
  readonly callId: string;
  readonly video: boolean;
}

/** Show nothing of the thread any more. */
export interface TakenBack extends Pushed {
  readonly type: "take_back";
}

export type PushedNotice = ShownNotice | TakenBack;

const KINDS: ReadonlySet<string> = new Set<NoticeKind>(["message", "mention", "reply", "reaction", "request", "call", "missed_call", "call_reminder", "call_begins"]);

/** The notice in a push's JSON; undefined for what is none. One of a kind that this release does not know counts as a message. */
export function readNotice(json: unknown): PushedNotice | undefined {
  if (typeof json !== "object" || json === null) return undefined;
  const fields = json as Readonly<Record<string, unknown>>;
  const text = (name: string): string => (typeof fields[name] === "string" ? fields[name] : "");
  const number = (name: string): number => (typeof fields[name] === "number" && Number.isFinite(fields[name]) ? fields[name] : 0);
  const pushed = { thread: text("thread"), version: number("version"), badge: Math.max(0, number("badge")) };
  if (!pushed.thread) return undefined;
  if (text("type") === "take_back") return { type: "take_back", ...pushed };
  if (text("type") !== "notice" || !text("conversation_id")) return undefined;
  return {
    type: "notice",
    ...pushed,
    kind: KINDS.has(text("kind")) ? (text("kind") as NoticeKind) : "message",
    conversationId: text("conversation_id"),
    timeMs: Date.parse(text("time")) || 0,
    quiet: fields["quiet"] === true,
    fromUserId: text("from_user_id"),
    title: displayName(text("title")),
    text: text("text"),
    callId: text("call_id"),
    video: fields["video"] === true,
  };
}

/** The versions of threads that came lately, by thread. */
export type CameVersions = Readonly<Record<string, { readonly version: number; readonly cameMs: number }>>;

/**
 * So long a version is remembered. Raising it drops what a push service brings ever later; but a thread that nothing was told of
 * for long begins anew with a low version (PARLEY_PUSH_KEEP_DAYS), which must not count as old. Lowering it shows what comes late.
 */
const REMEMBERED_MS = 3_600_000;

/** Whether it says more than what came before: push services may bring a thread's notices in another order, or twice. */
export function isNews({ thread, version }: PushedNotice, came: CameVersions, nowMs: number): boolean {
  const last = came[thread];
  return last === undefined || nowMs - last.cameMs > REMEMBERED_MS || version > last.version;
}

/** With this one, and without those that are forgotten. */
export function remember({ thread, version }: PushedNotice, came: CameVersions, nowMs: number): CameVersions {
  const kept = Object.entries(came).filter(([, { cameMs }]) => nowMs - cameMs <= REMEMBERED_MS);
  return { ...Object.fromEntries(kept), [thread]: { version, cameMs: nowMs } };
}
