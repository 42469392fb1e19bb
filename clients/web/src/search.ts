import type { Api } from "./api.js";
import type { Message } from "./core/model.js";
import { orFailure } from "./errors.js";
import { SearchHas } from "./gen/parley/messaging/v1/service_pb.js";
import { readMessage, writeTime } from "./wire.js";

export interface SearchPage {
  /** The newest first. */
  readonly messages: readonly Message[];
  /** For the next page; empty on the last one. */
  readonly nextPageToken: string;
}

/** What a search narrows down to; all of it must be so. */
export interface SearchFilters {
  readonly fromUserId?: string;
  /** Beside the words. */
  readonly has?: readonly ("file" | "picture" | "video" | "link")[];
  /** Sent then or later. */
  readonly sinceMs?: number;
  /** Sent before. */
  readonly beforeMs?: number;
}

const HAS = { file: SearchHas.FILE, picture: SearchHas.PICTURE, video: SearchHas.VIDEO, link: SearchHas.LINK };

/** Finds texts in all of the user's conversations, or in one. Rejects with a Failure, also for a query without words. */
export async function searchMessages(api: Api, query: string, conversationId = "", next = "", filters: SearchFilters = {}): Promise<SearchPage> {
  const { fromUserId = "", has = [], sinceMs, beforeMs } = filters;
  const times = {
    ...(sinceMs === undefined ? {} : { sinceTime: writeTime(sinceMs) }),
    ...(beforeMs === undefined ? {} : { beforeTime: writeTime(beforeMs) }),
  };
  const request = { query, conversationId, pageToken: next, fromUserId, has: has.map((kind) => HAS[kind]), ...times };
  const page = await orFailure(api.messaging.searchMessages(request));
  return { messages: page.messages.map(readMessage), nextPageToken: page.nextPageToken };
}

/** What was sent in a conversation, by its kind: `media` are pictures and videos, `file` every other file. */
export type SharedKind = "media" | "file" | "voice" | "link";

const SHARED = { media: SearchHas.PICTURE_OR_VIDEO, file: SearchHas.OTHER_FILE, voice: SearchHas.VOICE, link: SearchHas.LINK };

/** The newest first. A page may be empty and still have a next one. Rejects with a Failure. */
export async function listShared(api: Api, conversationId: string, kind: SharedKind, next = ""): Promise<SearchPage> {
  const page = await orFailure(api.messaging.searchMessages({ conversationId, has: [SHARED[kind]], pageToken: next }));
  return { messages: page.messages.map(readMessage), nextPageToken: page.nextPageToken };
}
