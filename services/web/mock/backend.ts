import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import type { Transport } from "@connectrpc/connect";
import { Code, ConnectError, createRouterTransport } from "@connectrpc/connect";
import { type Call, CallSchema, CallState, EndReason, MediaGrantSchema } from "../src/gen/parley/calls/v1/messages_pb";
import { CallsService } from "../src/gen/parley/calls/v1/service_pb";
import { type DeviceEvent, PresenceState } from "../src/gen/parley/gateway/v1/messages_pb";
import { GatewayService, type SubscribeResponse, SubscribeResponseSchema } from "../src/gen/parley/gateway/v1/service_pb";
import {
  CallOutcome,
  type Conversation,
  ConversationKind,
  ConversationSchema,
  type Cursor,
  type Message,
  MessageSchema,
  type TextContent,
} from "../src/gen/parley/messaging/v1/messages_pb";
import { MessagingService } from "../src/gen/parley/messaging/v1/service_pb";
import { PresenceService } from "../src/gen/parley/presence/v1/service_pb";
import { groupsOf } from "./groups";
import { Mailbox } from "./mailbox";

type Event = DeviceEvent["event"];

export interface Room {
  conversation: Conversation;
  readonly messages: Message[];
}

/**
 * A small Parley in memory, for the mock page and the client's tests. It keeps the protocol's promises that the
 * client relies on: one order, idempotent sends, one stream a device, sync by cursors. It is no model of the services.
 */
export class MockBackend {
  private readonly rooms = new Map<string, Room>();
  private readonly calls = new Map<string, Call>();
  private readonly streams = new Map<string, Map<string, Mailbox<SubscribeResponse>>>();
  private ids = 0;
  /** Groups by the tokens that lead into them. */
  readonly invites = new Map<string, string>();
  /** Requests fail while set. */
  fault: ConnectError | undefined;
  /** How many messages were sent to each method, by name. */
  readonly requests: Record<string, number> = {};

  constructor(private readonly now: () => number = () => Date.now()) {}

  /** What a user with a valid token reaches. */
  transportFor(userId: string): Transport {
    return createRouterTransport((router) => {
      router.service(GatewayService, { subscribe: (request, context) => this.subscribe(userId, request.deviceId, context.signal) });
      router.service(PresenceService, this.presenceOf(userId));
      router.service(MessagingService, { ...this.messagingOf(userId), ...groupsOf(this, userId) });
      router.service(CallsService, this.callsOf(userId));
    });
  }

  /** Ends a user's streams with an error, as a restart of the gateway does. */
  dropStreams(userId: string, error: ConnectError = new ConnectError("draining", Code.Unavailable)): void {
    for (const mailbox of this.streams.get(userId)?.values() ?? []) mailbox.fail(error);
    this.streams.delete(userId);
  }

  openStreams(userId: string): number {
    return this.streams.get(userId)?.size ?? 0;
  }

  /** Adds a message as if its sender's device had sent it. With `lost`, nobody is told. */
  post(conversationId: string, senderId: string, content: Message["content"], options: { lost?: boolean; ageMs?: number } = {}): Message {
    const room = this.room(conversationId);
    const seq = BigInt(room.messages.length + 1);
    const message = create(MessageSchema, {
      messageId: this.id("m"),
      conversationId,
      seq,
      senderId,
      clientMessageId: this.id("c"),
      sendTime: timestampFromMs(this.now() - (options.ageMs ?? 0)),
      content,
    });
    this.append(room, message, options.lost ?? false);
    return message;
  }

  open(userId: string, peerId: string): Conversation {
    const pair = [userId, peerId].sort().join("+");
    const known = this.rooms.get(pair);
    if (known) return known.conversation;
    const members = [userId, peerId].map((id) => ({ userId: id, readSeq: 0n }));
    return this.found({ conversationId: pair, kind: ConversationKind.DIRECT, members }).conversation;
  }

  /** Makes a conversation and tells its members. */
  found(init: MessageInitShape<typeof ConversationSchema>): Room {
    const conversation = create(ConversationSchema, { createTime: timestampFromMs(this.now()), ...init });
    const room: Room = { conversation, messages: [] };
    this.rooms.set(conversation.conversationId, room);
    this.tell(memberIds(room), { case: "conversation", value: structuredClone(conversation) });
    return room;
  }

  /** Changes a conversation and counts it. With `lost`, nobody is told; `alsoTold` are those who are out. */
  change(room: Room, next: Partial<Conversation>, options: { lost?: boolean; alsoTold?: readonly string[] } = {}): Conversation {
    room.conversation = { ...room.conversation, ...next, revision: room.conversation.revision + 1n };
    const told = [...memberIds(room), ...(options.alsoTold ?? [])];
    if (!options.lost) this.tell(told, { case: "conversation", value: structuredClone(room.conversation) });
    return room.conversation;
  }

  /** Changes a message and counts it. With `lost`, nobody is told. */
  changeMessage(conversationId: string, seq: number, next: Partial<Message>, options: { lost?: boolean } = {}): Message {
    const room = this.room(conversationId);
    const before = room.messages[seq - 1];
    if (!before) throw new ConnectError("no such message", Code.NotFound);
    const revision = room.conversation.revision + 1n;
    room.conversation = { ...room.conversation, revision };
    const message = { ...before, ...next, revision };
    room.messages[seq - 1] = message;
    if (!options.lost) this.tell(memberIds(room), { case: "message", value: message });
    return message;
  }

  tell(userIds: readonly string[], event: Event): void {
    for (const userId of userIds) {
      for (const mailbox of this.streams.get(userId)?.values() ?? []) mailbox.push(frame(event));
    }
  }

  private subscribe(userId: string, deviceId: string, signal: AbortSignal): AsyncIterable<SubscribeResponse> {
    this.count("subscribe");
    const devices = this.streams.get(userId) ?? new Map<string, Mailbox<SubscribeResponse>>();
    this.streams.set(userId, devices);
    devices.get(deviceId)?.fail(new ConnectError("replaced", Code.Aborted));
    const mailbox = new Mailbox<SubscribeResponse>();
    devices.set(deviceId, mailbox);
    signal.addEventListener("abort", () => {
      mailbox.end();
      if (devices.get(deviceId) === mailbox) devices.delete(deviceId);
      this.tellPresence(userId);
    });
    mailbox.push(frame({ case: "ready", value: { $typeName: "parley.gateway.v1.Ready", heartbeatS: 5 } }));
    this.tellPresence(userId);
    return mailbox;
  }

  private tellPresence(userId: string): void {
    const peers = [...this.rooms.values()].map((room) => memberIds(room)).filter((ids) => ids.includes(userId)).flat();
    this.tell(peers.filter((id) => id !== userId), this.presenceEvent(userId));
  }

  private presenceEvent(userId: string): Event {
    const state = this.openStreams(userId) > 0 ? PresenceState.ONLINE : PresenceState.OFFLINE;
    return { case: "presence", value: { $typeName: "parley.gateway.v1.PresenceChanged", userId, state } };
  }

  private presenceOf(userId: string) {
    return {
      setTyping: ({ conversationId, typing }: { conversationId: string; typing: boolean }) => {
        this.count(`setTyping ${typing}`);
        const others = memberIds(this.room(conversationId)).filter((id) => id !== userId);
        this.tell(others, { case: "typing", value: { $typeName: "parley.gateway.v1.Typing", conversationId, userId, typing } });
        return {};
      },
      watchPresence: ({ userIds }: { userIds: string[] }) => {
        this.count("watchPresence");
        for (const id of userIds) this.tell([userId], this.presenceEvent(id));
        return {};
      },
    };
  }

  private messagingOf(userId: string) {
    const mine = () => [...this.rooms.values()].filter((room) => memberIds(room).includes(userId));
    return {
      createDirectConversation: ({ peerUserId }: { peerUserId: string }) => {
        this.count("createDirectConversation");
        return { conversation: this.open(userId, peerUserId) };
      },
      listConversations: () => {
        this.count("listConversations");
        return {
          conversations: mine().map(({ conversation, messages }) => {
            const last = messages.at(-1);
            return { conversation, ...(last ? { lastMessage: last } : {}) };
          }),
        };
      },
      listMessages: ({ conversationId, beforeSeq, pageSize }: { conversationId: string; beforeSeq: bigint; pageSize: number }) => {
        this.count("listMessages");
        const older = this.room(conversationId).messages.filter((m) => beforeSeq === 0n || m.seq < beforeSeq);
        return { messages: older.slice(-pageSize).reverse(), hasMore: older.length > pageSize };
      },
      sync: ({ cursors, limit }: { cursors: Cursor[]; limit: number }) => {
        this.count("sync");
        const known = new Map(cursors.map((c) => [c.conversationId, c]));
        const ids = new Set(mine().map((room) => room.conversation.conversationId));
        return {
          deltas: mine().map((room) => delta(room, known.get(room.conversation.conversationId), limit)),
          goneConversationIds: [...known.keys()].filter((id) => !ids.has(id)),
        };
      },
      sendMessage: (request: { conversationId: string; clientMessageId: string; replyToSeq: bigint; content: { case: "text"; value: TextContent } | { case: undefined } }) => {
        this.count("sendMessage");
        const room = this.room(request.conversationId);
        const known = room.messages.find((m) => m.senderId === userId && m.clientMessageId === request.clientMessageId);
        if (known) return { message: known };
        const { conversationId, clientMessageId } = request;
        const message = create(MessageSchema, {
          messageId: this.id("m"),
          conversationId,
          clientMessageId,
          seq: BigInt(room.messages.length + 1),
          senderId: userId,
          sendTime: timestampFromMs(this.now()),
          content: request.content as Message["content"],
          replyToSeq: request.replyToSeq,
        });
        this.append(room, message, false);
        return { message };
      },
      markRead: ({ conversationId, seq }: { conversationId: string; seq: bigint }) => {
        this.count("markRead");
        const room = this.room(conversationId);
        const member = room.conversation.members.find((m) => m.userId === userId);
        if (member && member.readSeq < seq) member.readSeq = seq;
        const value = { $typeName: "parley.gateway.v1.ReadMoved" as const, conversationId, userId, readSeq: seq, deliveredSeq: 0n };
        this.tell(memberIds(room), { case: "read", value });
        return { readSeq: seq };
      },
    };
  }

  private callsOf(userId: string) {
    const grant = () => create(MediaGrantSchema, { joinToken: "mock", audioSlots: 1, videoSlots: 1 });
    const end = (callId: string, reason: EndReason) => ({ call: this.endCall(callId, reason) });
    return {
      startCall: ({ conversationId, video, deviceId }: { conversationId: string; video: boolean; deviceId: string }) => {
        this.count("startCall");
        const peer = memberIds(this.room(conversationId)).find((id) => id !== userId) ?? "";
        const call = create(CallSchema, {
          callId: this.id("call"),
          conversationId,
          callerId: userId,
          video,
          state: CallState.RINGING,
          participants: [{ userId, deviceId }, { userId: peer }],
          createTime: timestampFromMs(this.now()),
          version: 1n,
        });
        this.calls.set(call.callId, call);
        this.tellCall(call);
        return { call, grant: grant() };
      },
      acceptCall: ({ callId, deviceId }: { callId: string; deviceId: string }) => {
        this.count("acceptCall");
        const call = this.changeCall(callId, { state: CallState.ACTIVE, answerTime: timestampFromMs(this.now()) });
        for (const p of call.participants) if (p.userId === userId) p.deviceId = deviceId;
        this.tellCall(call);
        return { call, grant: grant() };
      },
      declineCall: ({ callId }: { callId: string }) => end(callId, EndReason.DECLINED),
      cancelCall: ({ callId }: { callId: string }) => end(callId, EndReason.CANCELLED),
      leaveCall: ({ callId }: { callId: string }) => {
        this.count("leaveCall");
        const call = this.callOf(callId);
        if (call.state === CallState.ACTIVE) return end(callId, EndReason.HUNG_UP);
        return end(callId, call.callerId === userId ? EndReason.CANCELLED : EndReason.DECLINED);
      },
      getCall: ({ callId }: { callId: string }) => ({ call: this.callOf(callId) }),
      listActiveCalls: () => ({
        calls: [...this.calls.values()].filter((c) => c.state !== CallState.ENDED && c.participants.some((p) => p.userId === userId)),
      }),
      renewMediaGrant: () => {
        this.count("renewMediaGrant");
        return { grant: grant() };
      },
      joinMedia: () => ({ sdpAnswer: "" }),
    };
  }

  /** Ends a call as the service does: every member is told, and the conversation gets its record. */
  endCall(callId: string, reason: EndReason): Call {
    const before = this.callOf(callId);
    if (before.state === CallState.ENDED) return before;
    const call = this.changeCall(callId, { state: CallState.ENDED, endReason: reason, endTime: timestampFromMs(this.now()) });
    this.tellCall(call);
    const seconds = call.answerTime ? BigInt(Math.round(this.now() / 1000)) - call.answerTime.seconds : 0n;
    const value = {
      $typeName: "parley.messaging.v1.CallContent" as const,
      callId,
      video: call.video,
      outcome: OUTCOMES[reason] ?? CallOutcome.COMPLETED,
      length: { $typeName: "google.protobuf.Duration" as const, seconds, nanos: 0 },
      participantUserIds: [],
    };
    this.post(call.conversationId, call.callerId, { case: "call", value });
    return call;
  }

  private changeCall(callId: string, change: Partial<Call>): Call {
    const call = this.callOf(callId);
    const next = { ...call, ...change, version: call.version + 1n };
    this.calls.set(callId, next);
    return next;
  }

  private tellCall(call: Call): void {
    this.tell(call.participants.map((p) => p.userId), { case: "call", value: structuredClone(call) });
  }

  private callOf(callId: string): Call {
    const call = this.calls.get(callId);
    if (!call) throw new ConnectError("no such call", Code.NotFound);
    return call;
  }

  private append(room: Room, message: Message, lost: boolean): void {
    room.messages.push(message);
    room.conversation.lastSeq = message.seq;
    if (!lost) this.tell(memberIds(room), { case: "message", value: message });
  }

  room(conversationId: string): Room {
    const room = this.rooms.get(conversationId);
    if (!room) throw new ConnectError("no such conversation", Code.NotFound);
    return room;
  }

  count(name: string): void {
    this.requests[name] = (this.requests[name] ?? 0) + 1;
    if (this.fault) throw this.fault;
  }

  id(prefix: string): string {
    return `${prefix}-${++this.ids}`;
  }
}

const OUTCOMES: Partial<Record<EndReason, CallOutcome>> = {
  [EndReason.MISSED]: CallOutcome.MISSED,
  [EndReason.DECLINED]: CallOutcome.DECLINED,
  [EndReason.CANCELLED]: CallOutcome.CANCELLED,
  [EndReason.BUSY]: CallOutcome.BUSY,
};

function frame(event: Event): SubscribeResponse {
  return create(SubscribeResponseSchema, { event: { event } });
}

export function memberIds(room: Room): string[] {
  return room.conversation.members.map((m) => m.userId);
}

/** From the cursor on; without one, the newest page only. */
function delta({ conversation, messages }: Room, cursor: Cursor | undefined, limit: number) {
  const { revision } = conversation;
  if (!cursor) return { conversation, messages: messages.slice(-limit), hasMore: false, cursor: { seq: conversation.lastSeq, revision } };
  const newer = messages.filter((m) => m.seq > cursor.seq);
  const changedMessages = messages.filter((m) => m.seq <= cursor.seq && m.revision > cursor.revision);
  return { conversation, messages: newer.slice(0, limit), hasMore: newer.length > limit, changedMessages, cursor: { seq: cursor.seq, revision } };
}
