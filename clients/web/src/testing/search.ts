import { Code, ConnectError } from "@connectrpc/connect";
import { type Timestamp, timestampMs } from "@bufbuild/protobuf/wkt";
import type { Message } from "../gen/parley/messaging/v1/messages_pb.js";
import { SearchHas } from "../gen/parley/messaging/v1/service_pb.js";
import { fold } from "../core/highlight.js";
import type { MockBackend } from "./backend.js";

interface SearchRequest {
  readonly query: string;
  readonly conversationId: string;
  readonly pageSize: number;
  readonly pageToken: string;
  readonly fromUserId: string;
  readonly has: readonly SearchHas[];
  readonly sinceTime?: Timestamp | undefined;
  readonly beforeTime?: Timestamp | undefined;
}

const wordsOf = (text: string): string[] => fold(text).match(/[\p{L}\p{N}_]+/gu) ?? [];

export function searchOf(backend: MockBackend, userId: string) {
  return {
    searchMessages: (request: SearchRequest) => {
      const { query, conversationId, pageSize, pageToken } = request;
      backend.count("searchMessages");
      const words = wordsOf(query);
      const listed = query === "" && conversationId !== "" && request.has.length === 1;
      if (words.length === 0 && !listed) throw new ConnectError("no words", Code.InvalidArgument);
      const conversations = backend.conversationsOf(userId).filter((stored) => !conversationId || stored.conversation.conversationId === conversationId);
      const found = conversations.flatMap((stored) => stored.messages.filter((m) => (listed || matches(m, words)) && passes(m, request)));
      found.sort((a, b) => Number((b.sendTime?.seconds ?? 0n) - (a.sendTime?.seconds ?? 0n)) || Number(b.seq - a.seq));
      const start = Number(pageToken || 0);
      const end = start + (pageSize || 20);
      return { messages: found.slice(start, end), nextPageToken: end < found.length ? `${end}` : "" };
    },
  };
}

function passes(message: Message, { fromUserId, has, sinceTime, beforeTime }: SearchRequest): boolean {
  const sentMs = message.sendTime ? timestampMs(message.sendTime) : 0;
  if (fromUserId && message.senderId !== fromUserId) return false;
  if (sinceTime && sentMs < timestampMs(sinceTime)) return false;
  if (beforeTime && sentMs >= timestampMs(beforeTime)) return false;
  return has.every((kind) => holds(message, kind));
}

function holds({ content, attachments }: Message, kind: SearchHas): boolean {
  if (kind === SearchHas.LINK) return content.case === "text" && content.value.entities.some(({ entity }) => entity.case === "linkUrl");
  const isVoice = content.case === "voice";
  if (kind === SearchHas.VOICE) return isVoice;
  if (kind === SearchHas.PICTURE_OR_VIDEO) return attachments.some(({ contentType }) => isMedia(contentType));
  if (kind === SearchHas.OTHER_FILE) return !isVoice && attachments.some(({ contentType }) => !isMedia(contentType));
  const begin = kind === SearchHas.PICTURE ? "image/" : kind === SearchHas.VIDEO ? "video/" : "";
  return attachments.some(({ contentType }) => contentType.startsWith(begin));
}

function isMedia(contentType: string): boolean {
  return contentType.startsWith("image/") || contentType.startsWith("video/");
}

/** All words, the last as the beginning of one. */
function matches({ content }: Message, query: readonly string[]): boolean {
  if (content.case !== "text") return false;
  const words = wordsOf(content.value.text);
  return query.every((word, i) => words.some((w) => w === word || (i === query.length - 1 && w.startsWith(word))));
}
