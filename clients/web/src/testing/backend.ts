import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import type { Transport } from "@connectrpc/connect";
import { Code, ConnectError, createRouterTransport } from "@connectrpc/connect";
import { CallsService } from "../gen/parley/calls/v1/service_pb.js";
import { type DeviceEvent, PresenceChangedSchema, PresenceState, ReadySchema } from "../gen/parley/gateway/v1/messages_pb.js";
import { GatewayService, type SubscribeResponse, SubscribeResponseSchema } from "../gen/parley/gateway/v1/service_pb.js";
import {
  type Conversation,
  ConversationKind,
  ConversationSchema,
  type Message,
  MessageSchema,
  RequestState,
} from "../gen/parley/messaging/v1/messages_pb.js";
import { MessagingService } from "../gen/parley/messaging/v1/service_pb.js";
import { PresenceService } from "../gen/parley/presence/v1/service_pb.js";
import { AccountService } from "../gen/parley/messaging/v1/accounts_pb.js";
import { AttachmentsService } from "../gen/parley/messaging/v1/attachments_pb.js";
import { RelationsService } from "../gen/parley/messaging/v1/relations_pb.js";
import { accountOf } from "./accounts.js";
import { MockCalls } from "./calls.js";
import { MockFiles } from "./files.js";
import { MockEdits } from "./edits.js";
import { groupsOf } from "./groups.js";
import { Mailbox } from "./mailbox.js";
import { messagesOf } from "./messages.js";
import { keepingOf, MockOwnStates } from "./own-states.js";
import { MockRelations, relationsOf } from "./relations.js";
import { searchOf } from "./search.js";

type Event = DeviceEvent["event"];

interface PostOptions {
  readonly lost?: boolean;
  readonly ageMs?: number;
  readonly init?: MessageInitShape<typeof MessageSchema>;
}

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
  readonly calls = new MockCalls(this);
  private readonly streams = new Map<string, Map<string, Mailbox<SubscribeResponse>>>();
  private ids = 0;
  /** Groups by the tokens that lead into them. */
  readonly invites = new Map<string, string>();
  /** Requests fail while set. */
  fault: ConnectError | undefined;
  /** Requests of these names fail. */
  readonly faults = new Map<string, ConnectError>();
  readonly own = new MockOwnStates(this);
  readonly relations = new MockRelations(this);
  readonly edits = new MockEdits();
  readonly files: MockFiles;
  /** How many messages were sent to each method, by name. */
  readonly requests: Record<string, number> = {};

  constructor(readonly now: () => number = () => Date.now()) {
    this.files = new MockFiles(this);
  }

  /** What a user with a valid token reaches. */
  transportFor(userId: string): Transport {
    return createRouterTransport((router) => {
      router.service(GatewayService, { subscribe: (request, context) => this.subscribe(userId, request.deviceId, context.signal) });
      router.service(PresenceService, this.presenceOf(userId));
      router.service(MessagingService, { ...messagesOf(this, userId), ...groupsOf(this, userId), ...keepingOf(this, userId), ...searchOf(this, userId) });
      router.service(RelationsService, relationsOf(this, userId));
      router.service(AttachmentsService, this.files.methodsOf(userId));
      router.service(AccountService, accountOf(this));
      router.service(CallsService, this.calls.methodsOf(userId));
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
  post(conversationId: string, senderId: string, content: Message["content"], options: PostOptions = {}): Message {
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
      ...options.init,
    });
    this.append(room, message, options.lost ?? false);
    return message;
  }

  open(userId: string, peerId: string): Conversation {
    const pair = [userId, peerId].sort().join("+");
    const known = this.rooms.get(pair);
    if (known) return known.conversation;
    const members = [userId, peerId].map((id) => ({ userId: id, readSeq: 0n }));
    this.relations.knock(userId, peerId, pair);
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
    mailbox.push(frame({ case: "ready", value: create(ReadySchema, { heartbeatS: 5 }) }));
    this.tellPresence(userId);
    return mailbox;
  }

  private tellPresence(userId: string): void {
    const peers = [...this.rooms.values()].map((room) => memberIds(room)).filter((ids) => ids.includes(userId)).flat();
    this.tell(peers.filter((id) => id !== userId), this.presenceEvent(userId));
  }

  private presenceEvent(userId: string): Event {
    const state = this.openStreams(userId) > 0 ? PresenceState.ONLINE : PresenceState.OFFLINE;
    return { case: "presence", value: create(PresenceChangedSchema, { userId, state }) };
  }

  private presenceOf(userId: string) {
    return {
      setTyping: ({ conversationId, typing }: { conversationId: string; typing: boolean }) => {
        this.count(`setTyping ${typing}`);
        const room = this.room(conversationId);
        const others = memberIds(room).filter((id) => id !== userId && this.own.of(id, room).request === RequestState.UNSPECIFIED);
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

  /** Where a user is in. */
  roomsOf(userId: string): Room[] {
    return [...this.rooms.values()].filter((room) => memberIds(room).includes(userId));
  }

  /** Puts a message at the end. */
  append(room: Room, message: Message, lost: boolean): void {
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
    const fault = this.fault ?? this.faults.get(name);
    if (fault) throw fault;
  }

  id(prefix: string): string {
    return `${prefix}-${++this.ids}`;
  }
}

function frame(event: Event): SubscribeResponse {
  return create(SubscribeResponseSchema, { event: { event } });
}

export function memberIds(room: Room): string[] {
  return room.conversation.members.map((m) => m.userId);
}
