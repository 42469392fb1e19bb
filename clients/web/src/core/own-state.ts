import type { OwnState } from "./model.js";

/** Of a conversation without own settings. */
export const DEFAULT_OWN_STATE: OwnState = {
  pinned: false,
  archived: false,
  muteEndMs: undefined,
  markedUnread: false,
  unreadCount: 0,
  readSeq: 0,
  request: "none",
};

/** The service's word for "until further notice": the year 9999. */
export const MUTE_FOREVER_MS = Date.UTC(9999, 11, 31);

export type Folder = "inbox" | "archived" | "requests";

/** The folder of a conversation; undefined for a declined one, which is in none. */
export function folderOf(own: OwnState): Folder | undefined {
  if (own.request === "declined") return undefined;
  if (own.request === "pending") return "requests";
  return own.archived ? "archived" : "inbox";
}

export function isMuted(own: OwnState, nowMs: number): boolean {
  return own.muteEndMs !== undefined && own.muteEndMs > nowMs;
}
