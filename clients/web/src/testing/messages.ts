import { create } from "@bufbuild/protobuf";
import { type Timestamp, timestampFromMs } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError } from "@connectrpc/connect";
import { ConversationKind, type Cursor, type Message, MessageSchema, RequestState } from "../gen/parley/messaging/v1/messages_pb.js";
import { ConversationFolder, type SendMessageRequest } from "../gen/parley/messaging/v1/service_pb.js";
import { type MockBackend, memberIds, type MockConversation } from "./backend.js";

interface SendRequest {
  readonly conversationId: string;
  readonly clientMessageId: string;
  readonly replyToSeq: bigint;
  readonly attachmentIds: readonly string[];
  readonly viewOnce?: boolean;
  readonly content: SendMessageRequest["content"];
}

/** This backend tells everything each time: one token stands for any state. */
const SYNC_TOKEN = "synchronised";

/** Conversations and messages for one user. */
export function messagesOf(backend: MockBackend, userId: string) {
  const mine = () => backend.conversationsOf(userId);
  return {
    createDirectConversation: ({ peerUserId }: { peerUserId: string }) => {
      backend.count("createDirectConversation");
      backend.relations.check(userId, peerUserId);
      return { conversation: backend.openDirect(userId, peerUserId) };
    },
    listConversations: ({ folder }: { folder: ConversationFolder }) => {
      backend.count("listConversations");
      const wanted = folder === ConversationFolder.REQUESTS ? RequestState.PENDING : RequestState.UNSPECIFIED;
      const conversations = mine().filter((stored) => backend.own.of(userId, stored).request === wanted);
      return {
        syncToken: SYNC_TOKEN,
        conversations: conversations.map((stored) => {
          const last = stored.messages.at(-1);
          return { conversation: stored.conversation, ownState: backend.own.of(userId, stored), ...(last ? { lastMessage: last } : {}) };
        }),
      };
    },
    listMessages: ({ conversationId, beforeSeq, pageSize }: { conversationId: string; beforeSeq: bigint; pageSize: number }) => {
      backend.count("listMessages");
      const older = backend.stored(conversationId).messages.filter((m) => beforeSeq === 0n || m.seq < beforeSeq);
      return { messages: older.slice(-pageSize).reverse(), hasMore: older.length > pageSize };
    },
    sync: ({ cursors, limit }: { cursors: Cursor[]; limit: number }) => {
      backend.count("sync");
      const known = new Map(cursors.map((c) => [c.conversationId, c]));
      const ids = new Set(mine().map((stored) => stored.conversation.conversationId));
      return {
        syncToken: SYNC_TOKEN,
        deltas: mine().map((stored) => ({ ...delta(stored, known.get(stored.conversation.conversationId), limit), ownState: backend.own.of(userId, stored) })),
        goneConversationIds: [...known.keys()].filter((id) => !ids.has(id)),
      };
    },
    sendMessage: (request: SendRequest) => {
      backend.count("sendMessage");
      const stored = backend.stored(request.conversationId);
      for (const other of memberIds(stored)) if (stored.conversation.kind === ConversationKind.DIRECT) backend.relations.check(userId, other);
      const known = stored.messages.find((m) => m.senderId === userId && m.clientMessageId === request.clientMessageId);
      if (known) return { message: known };
      const { conversationId, clientMessageId } = request;
      const message = create(MessageSchema, {
        messageId: backend.id("m"),
        conversationId,
        clientMessageId,
        seq: BigInt(stored.messages.length + 1),
        senderId: userId,
        sendTime: timestampFromMs(backend.now()),
        content: request.content as Message["content"],
        replyToSeq: request.replyToSeq,
        attachments: backend.files.take(request.attachmentIds),
        viewOnce: request.viewOnce ?? false,
        ...expiryOf(backend, stored),
      });
      backend.own.change(userId, stored, { request: RequestState.UNSPECIFIED });
      backend.append(stored, message, false);
      return { message };
    },
    forwardMessage: ({ conversationId, seq, targets }: { conversationId: string; seq: bigint; targets: { conversationId: string; clientMessageId: string }[] }) => {
      backend.count("forwardMessage");
      const source = backend.stored(conversationId).messages[Number(seq) - 1];
      if (!source) throw new ConnectError("no such message", Code.NotFound);
      return { results: targets.map((target) => forwarded(backend, userId, source, target)) };
    },
    markRead: ({ conversationId, seq }: { conversationId: string; seq: bigint }) => {
      backend.count("markRead");
      const stored = backend.stored(conversationId);
      backend.own.change(userId, stored, { readSeq: seq, markedUnread: false });
      moveCursors(backend, userId, stored, seq, seq);
      return { readSeq: seq };
    },
    markDelivered: ({ cursors }: { cursors: Cursor[] }) => {
      backend.count("markDelivered");
      for (const { conversationId, seq } of cursors) moveCursors(backend, userId, backend.stored(conversationId), 0n, seq);
      return {};
    },
  };
}

/** A copy in one of the conversations, or why there is none. */
function forwarded(backend: MockBackend, userId: string, { content, attachments }: Message, target: { conversationId: string; clientMessageId: string }) {
  const stored = backend.stored(target.conversationId);
  const known = stored.messages.find((m) => m.senderId === userId && m.clientMessageId === target.clientMessageId);
  if (known) return { result: { case: "message" as const, value: known } };
  try {
    for (const other of memberIds(stored)) if (stored.conversation.kind === ConversationKind.DIRECT) backend.relations.check(userId, other);
  } catch {
    return { result: { case: "refusal" as const, value: { reason: "NOT_ALLOWED" } } };
  }
  const message = create(MessageSchema, {
    ...target,
    messageId: backend.id("m"),
    seq: BigInt(stored.messages.length + 1),
    senderId: userId,
    sendTime: timestampFromMs(backend.now()),
    content,
    attachments,
    forwarded: true,
    ...expiryOf(backend, stored),
  });
  backend.append(stored, message, false);
  return { result: { case: "message" as const, value: message } };
}

/** What others may know of a member's reading; nothing while the member sends no receipts or has not let the conversation in. */
function moveCursors(backend: MockBackend, userId: string, stored: MockConversation, readSeq: bigint, deliveredSeq: bigint): void {
  if (!backend.relations.settingsOf(userId).sendReceipts || backend.own.of(userId, stored).request !== RequestState.UNSPECIFIED) return;
  const member = stored.conversation.members.find((m) => m.userId === userId);
  if (!member) return;
  member.readSeq = member.readSeq > readSeq ? member.readSeq : readSeq;
  member.deliveredSeq = member.deliveredSeq > deliveredSeq ? member.deliveredSeq : deliveredSeq;
  const value = { $typeName: "parley.gateway.v1.ReadMoved" as const, conversationId: stored.conversation.conversationId, userId, readSeq, deliveredSeq };
  backend.sendEvent(memberIds(stored), { case: "read", value });
}

function expiryOf(backend: MockBackend, { conversation }: MockConversation): { expireTime?: Timestamp } {
  const afterS = Number(conversation.vanishAfter?.seconds ?? 0n);
  return afterS > 0 ? { expireTime: timestampFromMs(backend.now() + afterS * 1000) } : {};
}

/** From the cursor on; without one, the newest page only. */
function delta({ conversation, messages }: MockConversation, cursor: Cursor | undefined, limit: number) {
  const { revision } = conversation;
  if (!cursor) return { conversation, messages: messages.slice(-limit), hasMore: false, cursor: { seq: conversation.lastSeq, revision } };
  const newer = messages.filter((m) => m.seq > cursor.seq);
  const changedMessages = messages.filter((m) => m.seq <= cursor.seq && m.revision > cursor.revision);
  return { conversation, messages: newer.slice(0, limit), hasMore: newer.length > limit, changedMessages, cursor: { seq: cursor.seq, revision } };
}
