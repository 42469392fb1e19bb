import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import type { Transport } from "@connectrpc/connect";
import { Code, ConnectError, createRouterTransport } from "@connectrpc/connect";
import { CallsService } from "../gen/parley/calls/v1/service_pb.js";
import { type DeviceEvent, PresenceChangedSchema, PresenceState, ReadySchema } from "../gen/parley/gateway/v1/messages_pb.js";
import { DeviceKeysService } from "../gen/parley/keys/v1/service_pb.js";
import { GatewayService, type SubscribeResponse, SubscribeResponseSchema } from "../gen/parley/gateway/v1/service_pb.js";
import {
  type Conversation,
  ConversationKind,
  ConversationSchema,
  type Message,
  MessageSchema,
  RequestState,
} from "../gen/parley/messaging/v1/messages_pb.js";
import { ScheduledMessagesService } from "../gen/parley/messaging/v1/scheduled_pb.js";
import { MessagingService } from "../gen/parley/messaging/v1/service_pb.js";
import { NotificationsService } from "../gen/parley/notifications/v1/service_pb.js";
import { PresenceService } from "../gen/parley/presence/v1/service_pb.js";
import { AccountService } from "../gen/parley/messaging/v1/accounts_pb.js";
import { AttachmentsService } from "../gen/parley/messaging/v1/attachments_pb.js";
import { LimitsSchema, RelationsService } from "../gen/parley/messaging/v1/relations_pb.js";
import type { Api } from "../api.js";
import { accountOf } from "./accounts.js";
import { createApi } from "./api.js";
import { MockCalls } from "./calls.js";
import { MockFiles } from "./files.js";
import { draftsOf, MockDrafts } from "./drafts.js";
import { MockEdits } from "./edits.js";
import { groupsOf } from "./groups.js";
import { EventQueue } from "./event-queue.js";
import { MockKeys } from "./keys.js";
import { messagesOf } from "./messages.js";
import { MockNotifications } from "./notifications.js";
import { conversationSettingsOf, MockOwnStates } from "./own-states.js";
import { MockRelations, relationsOf } from "./relations.js";
import { MockScheduled, scheduledOf } from "./scheduled.js";
import { searchOf } from "./search.js";

type Event = DeviceEvent["event"];

interface PostOptions {
  readonly lost?: boolean;
  readonly ageMs?: number;
  readonly init?: MessageInitShape<typeof MessageSchema>;
}

export interface MockConversation {
  conversation: Conversation;
  readonly messages: Message[];
}

/**
 * A small Parley in memory, for the mock page and the client's tests. It keeps the protocol's promises that the
 * client relies on: one order, idempotent sends, one stream a device, sync by cursors. It is no model of the services.
 */
export class MockBackend {
  private readonly conversations = new Map<string, MockConversation>();
  readonly calls = new MockCalls(this);
  readonly keys = new MockKeys(this);
  private readonly streams = new Map<string, Map<string, EventQueue<SubscribeResponse>>>();
  private ids = 0;
  /** Groups by the tokens that lead into them. */
  readonly invites = new Map<string, string>();
  /** Requests fail while set. */
  fault: ConnectError | undefined;
  /** Requests of these names fail. */
  readonly faults = new Map<string, ConnectError>();
  /** Told to clients; nothing here refuses what is more. */
  limits = create(LimitsSchema, { textChars: 10_000, textEntities: 50, attachments: 10, uploadBytes: 104_857_600n, titleChars: 100, queryChars: 200, reportMessages: 50, reportCommentChars: 2000, stickerHosts: ["stickers.example"], stickerDescriptionChars: 300 });
  readonly own = new MockOwnStates(this);
  readonly scheduled = new MockScheduled(this);
  readonly drafts = new MockDrafts(this);
  readonly relations = new MockRelations(this);
  readonly edits = new MockEdits();
  readonly notifications = new MockNotifications(this);
  readonly files: MockFiles;
  /** How many messages were sent to each method, by name. */
  readonly requests: Record<string, number> = {};

  constructor(readonly now: () => number = () => Date.now()) {
    this.files = new MockFiles(this);
  }

  /** What a user with a valid token reaches, as the client's `api`. */
  apiFor(userId: string): Api {
    return createApi(this.transportFor(userId));
  }

  /** The same as a transport of Connect. */
  transportFor(userId: string): Transport {
    return createRouterTransport((router) => {
      router.service(GatewayService, { subscribe: (request, context) => this.subscribe(userId, request.deviceId, context.signal) });
      router.service(PresenceService, this.presenceOf(userId));
      router.service(MessagingService, { ...messagesOf(this, userId), ...groupsOf(this, userId), ...conversationSettingsOf(this, userId), ...searchOf(this, userId), ...draftsOf(this, userId) });
      router.service(RelationsService, relationsOf(this, userId));
      router.service(AttachmentsService, this.files.methodsOf(userId));
      router.service(ScheduledMessagesService, scheduledOf(this, userId));
      router.service(AccountService, accountOf(this));
      router.service(CallsService, this.calls.methodsOf(userId));
      router.service(DeviceKeysService, this.keys.methodsOf(userId));
      router.service(NotificationsService, this.notifications.methodsOf(userId));
    });
  }

  /** Ends a user's streams with an error, as a restart of the gateway does. */
  dropStreams(userId: string, error: ConnectError = new ConnectError("draining", Code.Unavailable)): void {
    for (const queue of this.streams.get(userId)?.values() ?? []) queue.fail(error);
    this.streams.delete(userId);
  }

  openStreams(userId: string): number {
    return this.streams.get(userId)?.size ?? 0;
  }

  /** Adds a message as if its sender's device had sent it. With `lost`, its event is not sent. */
  post(conversationId: string, senderId: string, content: Message["content"], options: PostOptions = {}): Message {
    const stored = this.stored(conversationId);
    const seq = BigInt(stored.messages.length + 1);
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
    this.append(stored, message, options.lost ?? false);
    return message;
  }

  openDirect(userId: string, peerId: string): Conversation {
    const pair = [userId, peerId].sort().join("+");
    const known = this.conversations.get(pair);
    if (known) return known.conversation;
    const members = [userId, peerId].map((id) => ({ userId: id, readSeq: 0n }));
    this.relations.requestIfNeeded(userId, peerId, pair);
    return this.createConversation({ conversationId: pair, kind: ConversationKind.DIRECT, members }).conversation;
  }

  /** Makes a conversation and tells its members. */
  createConversation(init: MessageInitShape<typeof ConversationSchema>): MockConversation {
    const conversation = create(ConversationSchema, { createTime: timestampFromMs(this.now()), ...init });
    const stored: MockConversation = { conversation, messages: [] };
    this.conversations.set(conversation.conversationId, stored);
    this.sendEvent(memberIds(stored), { case: "conversation", value: structuredClone(conversation) });
    return stored;
  }

  /** Changes a conversation and its revision. With `lost`, no event is sent; `alsoTold` are users who are no members any more. */
  change(stored: MockConversation, next: Partial<Conversation>, options: { lost?: boolean; alsoTold?: readonly string[] } = {}): Conversation {
    stored.conversation = { ...stored.conversation, ...next, revision: stored.conversation.revision + 1n };
    const told = [...memberIds(stored), ...(options.alsoTold ?? [])];
    if (!options.lost) this.sendEvent(told, { case: "conversation", value: structuredClone(stored.conversation) });
    return stored.conversation;
  }

  /** Changes a message and the conversation's revision. With `lost`, no event is sent. */
  changeMessage(conversationId: string, seq: number, next: Partial<Message>, options: { lost?: boolean } = {}): Message {
    const stored = this.stored(conversationId);
    const before = stored.messages[seq - 1];
    if (!before) throw new ConnectError("no such message", Code.NotFound);
    const revision = stored.conversation.revision + 1n;
    stored.conversation = { ...stored.conversation, revision };
    const message = { ...before, ...next, revision };
    stored.messages[seq - 1] = message;
    if (!options.lost) this.sendEvent(memberIds(stored), { case: "message", value: message });
    return message;
  }

  sendEvent(userIds: readonly string[], event: Event): void {
    for (const userId of userIds) {
      for (const queue of this.streams.get(userId)?.values() ?? []) queue.push(frame(event));
    }
  }

  private subscribe(userId: string, deviceId: string, signal: AbortSignal): AsyncIterable<SubscribeResponse> {
    this.count("subscribe");
    const devices = this.streams.get(userId) ?? new Map<string, EventQueue<SubscribeResponse>>();
    this.streams.set(userId, devices);
    devices.get(deviceId)?.fail(new ConnectError("replaced", Code.Aborted));
    const queue = new EventQueue<SubscribeResponse>();
    devices.set(deviceId, queue);
    signal.addEventListener("abort", () => {
      queue.end();
      if (devices.get(deviceId) === queue) devices.delete(deviceId);
      this.tellPresence(userId);
    });
    queue.push(frame({ case: "ready", value: create(ReadySchema, { heartbeatS: 5 }) }));
    this.tellPresence(userId);
    return queue;
  }

  private tellPresence(userId: string): void {
    const peers = [...this.conversations.values()].map((stored) => memberIds(stored)).filter((ids) => ids.includes(userId)).flat();
    this.sendEvent(peers.filter((id) => id !== userId), this.presenceEvent(userId));
  }

  private presenceEvent(userId: string): Event {
    const state = this.openStreams(userId) > 0 ? PresenceState.ONLINE : PresenceState.OFFLINE;
    return { case: "presence", value: create(PresenceChangedSchema, { userId, state }) };
  }

  private presenceOf(userId: string) {
    return {
      setTyping: ({ conversationId, typing }: { conversationId: string; typing: boolean }) => {
        this.count(`setTyping ${typing}`);
        const stored = this.stored(conversationId);
        const others = memberIds(stored).filter((id) => id !== userId && this.own.of(id, stored).request === RequestState.UNSPECIFIED);
        this.sendEvent(others, { case: "typing", value: { $typeName: "parley.gateway.v1.Typing", conversationId, userId, typing } });
        return {};
      },
      watchPresence: ({ userIds }: { userIds: string[] }) => {
        this.count("watchPresence");
        for (const id of userIds) this.sendEvent([userId], this.presenceEvent(id));
        return {};
      },
    };
  }

  /** Where a user is in. */
  conversationsOf(userId: string): MockConversation[] {
    return [...this.conversations.values()].filter((stored) => memberIds(stored).includes(userId));
  }

  /** Puts a message at the end. */
  append(stored: MockConversation, message: Message, lost: boolean): void {
    stored.messages.push(message);
    stored.conversation.lastSeq = message.seq;
    if (!lost) this.sendEvent(memberIds(stored), { case: "message", value: message });
  }

  stored(conversationId: string): MockConversation {
    const stored = this.conversations.get(conversationId);
    if (!stored) throw new ConnectError("no such conversation", Code.NotFound);
    return stored;
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

export function memberIds(stored: MockConversation): string[] {
  return stored.conversation.members.map((m) => m.userId);
}
