import { create } from "@bufbuild/protobuf";
import { type Timestamp, timestampFromMs } from "@bufbuild/protobuf/wkt";
import { ConversationKind, type Cursor, type Message, MessageSchema, RequestState } from "../gen/parley/messaging/v1/messages_pb.js";
import { ConversationFolder, type SendMessageRequest } from "../gen/parley/messaging/v1/service_pb.js";
import { type MockBackend, memberIds, type Room } from "./backend.js";

interface SendRequest {
  readonly conversationId: string;
  readonly clientMessageId: string;
  readonly replyToSeq: bigint;
  readonly attachmentIds: readonly string[];
  readonly content: SendMessageRequest["content"];
}

/** Conversations and messages for one user. */
export function messagesOf(backend: MockBackend, userId: string) {
  const mine = () => backend.roomsOf(userId);
  return {
    createDirectConversation: ({ peerUserId }: { peerUserId: string }) => {
      backend.count("createDirectConversation");
      backend.relations.check(userId, peerUserId);
      return { conversation: backend.open(userId, peerUserId) };
    },
    listConversations: ({ folder }: { folder: ConversationFolder }) => {
      backend.count("listConversations");
      const wanted = folder === ConversationFolder.REQUESTS ? RequestState.PENDING : RequestState.UNSPECIFIED;
      const rooms = mine().filter((room) => backend.own.of(userId, room).request === wanted);
      return {
        conversations: rooms.map((room) => {
          const last = room.messages.at(-1);
          return { conversation: room.conversation, ownState: backend.own.of(userId, room), ...(last ? { lastMessage: last } : {}) };
        }),
      };
    },
    listMessages: ({ conversationId, beforeSeq, pageSize }: { conversationId: string; beforeSeq: bigint; pageSize: number }) => {
      backend.count("listMessages");
      const older = backend.room(conversationId).messages.filter((m) => beforeSeq === 0n || m.seq < beforeSeq);
      return { messages: older.slice(-pageSize).reverse(), hasMore: older.length > pageSize };
    },
    sync: ({ cursors, limit }: { cursors: Cursor[]; limit: number }) => {
      backend.count("sync");
      const known = new Map(cursors.map((c) => [c.conversationId, c]));
      const ids = new Set(mine().map((room) => room.conversation.conversationId));
      return {
        deltas: mine().map((room) => ({ ...delta(room, known.get(room.conversation.conversationId), limit), ownState: backend.own.of(userId, room) })),
        goneConversationIds: [...known.keys()].filter((id) => !ids.has(id)),
      };
    },
    sendMessage: (request: SendRequest) => {
      backend.count("sendMessage");
      const room = backend.room(request.conversationId);
      for (const other of memberIds(room)) if (room.conversation.kind === ConversationKind.DIRECT) backend.relations.check(userId, other);
      const known = room.messages.find((m) => m.senderId === userId && m.clientMessageId === request.clientMessageId);
      if (known) return { message: known };
      const { conversationId, clientMessageId } = request;
      const message = create(MessageSchema, {
        messageId: backend.id("m"),
        conversationId,
        clientMessageId,
        seq: BigInt(room.messages.length + 1),
        senderId: userId,
        sendTime: timestampFromMs(backend.now()),
        content: request.content as Message["content"],
        replyToSeq: request.replyToSeq,
        attachments: backend.files.take(request.attachmentIds),
        ...expiryOf(backend, room),
      });
      backend.own.change(userId, room, { request: RequestState.UNSPECIFIED });
      backend.append(room, message, false);
      return { message };
    },
    markRead: ({ conversationId, seq }: { conversationId: string; seq: bigint }) => {
      backend.count("markRead");
      const room = backend.room(conversationId);
      backend.own.change(userId, room, { readSeq: seq, markedUnread: false });
      moveCursors(backend, userId, room, seq, seq);
      return { readSeq: seq };
    },
    markDelivered: ({ cursors }: { cursors: Cursor[] }) => {
      backend.count("markDelivered");
      for (const { conversationId, seq } of cursors) moveCursors(backend, userId, backend.room(conversationId), 0n, seq);
      return {};
    },
  };
}

/** What others may know of a member's reading; nothing while the member sends no receipts or has not let the conversation in. */
function moveCursors(backend: MockBackend, userId: string, room: Room, readSeq: bigint, deliveredSeq: bigint): void {
  if (!backend.relations.settingsOf(userId).sendReceipts || backend.own.of(userId, room).request !== RequestState.UNSPECIFIED) return;
  const member = room.conversation.members.find((m) => m.userId === userId);
  if (!member) return;
  member.readSeq = member.readSeq > readSeq ? member.readSeq : readSeq;
  member.deliveredSeq = member.deliveredSeq > deliveredSeq ? member.deliveredSeq : deliveredSeq;
  const value = { $typeName: "parley.gateway.v1.ReadMoved" as const, conversationId: room.conversation.conversationId, userId, readSeq, deliveredSeq };
  backend.tell(memberIds(room), { case: "read", value });
}

function expiryOf(backend: MockBackend, { conversation }: Room): { expireTime?: Timestamp } {
  const afterS = Number(conversation.vanishAfter?.seconds ?? 0n);
  return afterS > 0 ? { expireTime: timestampFromMs(backend.now() + afterS * 1000) } : {};
}

/** From the cursor on; without one, the newest page only. */
function delta({ conversation, messages }: Room, cursor: Cursor | undefined, limit: number) {
  const { revision } = conversation;
  if (!cursor) return { conversation, messages: messages.slice(-limit), hasMore: false, cursor: { seq: conversation.lastSeq, revision } };
  const newer = messages.filter((m) => m.seq > cursor.seq);
  const changedMessages = messages.filter((m) => m.seq <= cursor.seq && m.revision > cursor.revision);
  return { conversation, messages: newer.slice(0, limit), hasMore: newer.length > limit, changedMessages, cursor: { seq: cursor.seq, revision } };
}
