import type { Transport } from "@connectrpc/connect";
import type { DeviceEvent } from "../gen/parley/gateway/v1/messages_pb";
import type { Api } from "./api";
import { createApi, createWebTransport } from "./api";
import type { MediaFactory } from "./calls";
import { Calls } from "./calls";
import { Changes } from "./changes";
import { ConversationStore } from "./core/conversation-store";
import type { Message } from "./core/model";
import type { StreamState } from "./event-stream";
import { EventStream } from "./event-stream";
import { sayFarewell } from "./farewell";
import { Groups } from "./groups";
import { MediaLink } from "./media-link";
import { Messaging } from "./messaging";
import { Persistent } from "./persistent";
import { PresenceBoard } from "./presence";
import type { TokenProvider } from "./tokens";
import { TokenCache } from "./tokens";
import { readConversation, readMessage, readPresence } from "./wire";

export interface ClientOptions {
  readonly userId: string;
  /** Chosen once per user and browser and kept; see `keptDeviceId`. */
  readonly deviceId: string;
  readonly tokens: TokenProvider;
  /** Where Envoy listens; empty for the page's own origin. */
  readonly baseUrl?: string;
  /** In place of gRPC-Web: an in-memory router in tests. */
  readonly transport?: Transport;
  /** In place of WebRTC: for tests and the mock. */
  readonly media?: MediaFactory;
}

/**
 * Parley for one user on one device: conversations, presence and calls, kept current by one event stream.
 *
 * Read what it knows through its parts after each change (`subscribe`); ask it to do things through its methods.
 */
export class ParleyClient {
  readonly userId: string;
  readonly deviceId: string;
  readonly messaging: Messaging;
  readonly groups: Groups;
  readonly presence: PresenceBoard;
  readonly calls: Calls;
  /** How the event stream stands. */
  stream: StreamState = { kind: "connecting" };
  /** The last line that no window shows; the interface shows it for a while. */
  notice: { readonly line: string; readonly id: number } | undefined;
  /** Told when it should ring, and when no longer. */
  onRing: (ringing: boolean) => void = () => undefined;
  private readonly baseUrl: string;
  private readonly tokens: TokenCache;
  private readonly events: EventStream;
  private readonly changes = new Changes();
  private readonly catchUp = new Persistent(() => this.fetchMissed());
  private notices = 0;

  constructor(options: ClientOptions) {
    this.userId = options.userId;
    this.deviceId = options.deviceId;
    this.baseUrl = options.baseUrl ?? location.origin;
    this.tokens = new TokenCache(options.tokens);
    const api: Api = createApi(options.transport ?? createWebTransport(this.baseUrl, this.tokens));
    const changed = (): void => this.changes.announce();
    this.messaging = new Messaging(api, this.userId, new ConversationStore(this.userId), changed, (group) =>
      this.tell(`You are no longer in “${group.title}”.`),
    );
    this.groups = new Groups(api, this.messaging);
    this.presence = new PresenceBoard(api, this.deviceId, changed);
    const media: MediaFactory = options.media ?? ((admission, listener) => new MediaLink(admission, listener));
    this.calls = new Calls(api, this.userId, this.deviceId, media, {
      onChange: changed,
      onNotice: (line) => this.tell(line),
      onRing: (ringing) => this.onRing(ringing),
    });
    this.events = new EventStream(api, this.deviceId, {
      onEvent: (event) => this.receive(event),
      onState: (state) => this.setStream(state),
      isCurrent: () => this.catchUp.done,
    });
    this.changes.subscribe(() => this.watchPeers());
  }

  /** Opens the event stream; the rest follows from its Ready. Also takes the stream back from another window. */
  start(): void {
    this.events.start();
  }

  /** Ends the stream and hangs up. The client can be started again. */
  stop(): void {
    this.calls.hangUp();
    this.calls.close();
    this.presence.close();
    this.catchUp.cancel();
    this.events.stop();
  }

  /** Calls back after each burst of changes. Returns the function that ends the subscription. */
  subscribe(listener: () => void): () => void {
    return this.changes.subscribe(listener);
  }

  /** The page is seen again: whatever waits for its next attempt makes it now. */
  hurry(): void {
    this.events.hurry();
    this.calls.hurry();
  }

  /** The device has a network again, perhaps another one. */
  reconnect(): void {
    this.events.restart();
    this.calls.hurry();
  }

  /** For `pagehide`: hangs up, best effort. */
  farewell(): void {
    const callId = this.calls.openCallId();
    const token = this.tokens.current();
    if (callId && token) sayFarewell(this.baseUrl, token.value, callId, this.deviceId);
  }

  /** Shows a line for a while. */
  tell(line: string): void {
    this.notice = { line, id: ++this.notices };
    this.changes.announce();
  }

  private setStream(state: StreamState): void {
    if (this.stream.kind === "live" && state.kind !== "live") {
      this.catchUp.cancel();
      this.presence.forget();
    }
    this.stream = state;
    this.changes.announce();
  }

  private receive(event: DeviceEvent["event"]): void {
    switch (event.case) {
      case "ready":
        // What is missing of a stream that goes on comes by itself, and its watch list stands.
        if (event.value.resumed) return undefined;
        this.presence.unwatch();
        return this.catchUp.start();
      case "resync":
        return this.catchUp.start();
      case "message":
        return this.receiveMessage(readMessage(event.value));
      case "conversation":
        return this.messaging.receiveConversation(readConversation(event.value));
      case "read":
        return this.messaging.receiveRead(event.value.conversationId, event.value.userId, Number(event.value.readSeq));
      case "typing":
        return this.presence.applyTyping(event.value.conversationId, event.value.userId, event.value.typing);
      case "presence":
        return this.presence.applyPresence(event.value.userId, readPresence(event.value));
      case "call":
        return this.calls.receive(event.value);
      default:
        return undefined;
    }
  }

  private receiveMessage(message: Message): void {
    // Whoever has sent is no longer typing, even if the news of that is lost or late.
    if (message.revision === 0) this.presence.applyTyping(message.conversationId, message.senderId, false);
    this.messaging.receive(message);
  }

  /** Everything that may have been missed. */
  private async fetchMissed(): Promise<void> {
    const results = await Promise.allSettled([this.calls.refresh(), this.messaging.sync()]);
    for (const result of results) if (result.status === "rejected") throw result.reason;
    this.messaging.retryFailed();
  }

  private watchPeers(): void {
    if (this.stream.kind === "live" && this.messaging.ready) void this.presence.watch(this.messaging.store.peers());
  }
}

/** This browser's device id for a user, made on first use and kept in `storage`. */
export function keptDeviceId(userId: string, storage: Storage = localStorage): string {
  const key = `parley.device.${userId}`;
  const kept = storage.getItem(key);
  if (kept) return kept;
  const made = crypto.randomUUID();
  storage.setItem(key, made);
  return made;
}
