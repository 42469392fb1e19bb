import type { Timestamp } from "@bufbuild/protobuf/wkt";
import type { Message as WireMessage } from "../gen/parley/messaging/v1/messages_pb";
import type { Api } from "./api";
import { backoffMs } from "./core/backoff";
import type { Arrival, ConversationStore } from "./core/conversation-store";
import type { Conversation, Entity, Message, Outgoing } from "./core/model";
import type { Failure } from "./errors";
import { readFailure } from "./errors";
import { readConversation, readDelta, readMessage, writeText } from "./wire";

/** Messages of history that one request brings. */
const HISTORY_PAGE = 50;
/** A send is tried so often before it is shown as failed. More hides an outage for longer; fewer asks people to retry by hand. */
const SEND_ATTEMPTS = 3;
const SYNC_LIMIT = 200;

/** What one writes. */
export interface Draft {
  readonly text: string;
  readonly entities?: readonly Entity[];
  /** The message that it answers. */
  readonly replyToSeq?: number;
}

/** Fills the conversation store from the messaging service, and sends. */
export class Messaging {
  private syncing: Promise<void> | undefined;
  private syncAgain = false;
  private listed = false;
  /** When the service last told everything, in its own words. */
  private syncTime: Timestamp | undefined;
  private readonly loading = new Set<string>();
  private readonly lanes = new Map<string, Promise<void>>();
  private readonly departures = new Set<string>();
  private readonly unsentReads = new Set<string>();

  constructor(
    private readonly api: Api,
    private readonly selfId: string,
    readonly store: ConversationStore,
    private readonly changed: () => void,
    /** Told of a group that this user was taken out of. */
    private readonly onRemoved: (conversation: Conversation) => void,
  ) {}

  /** True once the list of conversations has been brought. */
  get ready(): boolean {
    return this.listed;
  }

  /**
   * Brings everything that this device lacks. Calls that come while one runs are answered by one more run after it.
   * Rejects when the service cannot be reached; what was brought before that stays.
   */
  sync(): Promise<void> {
    if (this.syncing) {
      this.syncAgain = true;
      return this.syncing;
    }
    this.syncing = this.syncUntilQuiet().finally(() => {
      this.syncing = undefined;
    });
    return this.syncing;
  }

  private async syncUntilQuiet(): Promise<void> {
    do {
      this.syncAgain = false;
      if (!this.listed) await this.list();
      await this.syncDeltas();
    } while (this.syncAgain);
  }

  private async list(): Promise<void> {
    let pageToken = "";
    do {
      const page = await this.api.messaging.listConversations({ pageSize: 100, pageToken });
      for (const { conversation, lastMessage } of page.conversations) {
        if (!conversation) continue;
        const known = readConversation(conversation);
        this.store.applyDelta({ conversation: known, messages: lastMessage ? [readMessage(lastMessage)] : [], changed: [], revision: known.revision });
      }
      pageToken = page.nextPageToken;
      this.changed();
    } while (pageToken);
    this.listed = true;
    this.changed();
  }

  private async syncDeltas(): Promise<void> {
    const since = this.syncTime;
    let first: Timestamp | undefined;
    let more = true;
    while (more) {
      const cursors = this.store.cursors().map(({ conversationId, seq, revision }) => ({ conversationId, seq: BigInt(seq), revision: BigInt(revision) }));
      const page = await this.api.messaging.sync({ cursors, limit: SYNC_LIMIT, ...(since ? { sinceTime: since } : {}) });
      first ??= page.syncTime;
      for (const id of page.goneConversationIds) this.drop(id);
      const moved = page.deltas.map(readDelta).map((delta) => delta !== undefined && this.store.applyDelta(delta));
      // A page that brings nothing new would come again and again.
      more = moved.includes(true) && (page.hasMore || page.deltas.some((delta) => delta.hasMore));
      this.changed();
    }
    this.syncTime = first;
  }

  /** A message from the event stream, new or changed. What does not fit starts a sync. */
  receive(message: Message): void {
    this.syncIfMissing(this.store.applyMessage(message));
    this.changed();
  }

  receiveConversation(conversation: Conversation): void {
    const before = this.store.get(conversation.id);
    const arrival = this.store.applyConversation(conversation);
    if (arrival === "left" && before && !this.departures.has(conversation.id)) this.onRemoved(before.conversation);
    this.syncIfMissing(arrival);
    this.changed();
  }

  /** Runs a request by which this user leaves, and forgets the conversation. The event may come before the answer. */
  async leaving(conversationId: string, request: () => Promise<unknown>): Promise<void> {
    this.departures.add(conversationId);
    try {
      await request();
      this.store.forget(conversationId);
      this.changed();
    } finally {
      this.departures.delete(conversationId);
    }
  }

  private drop(conversationId: string): void {
    const before = this.store.get(conversationId);
    if (this.store.forget(conversationId) && before) this.onRemoved(before.conversation);
  }

  private syncIfMissing(arrival: Arrival): void {
    if (arrival === "gap" || arrival === "stranger") void this.sync().catch(() => undefined);
  }

  receiveRead(conversationId: string, userId: string, readSeq: number): void {
    if (this.store.applyRead(conversationId, userId, readSeq)) this.changed();
  }

  /** Opens the conversation with a person and returns its id. Rejects with a Failure. */
  async openDirect(peerUserId: string): Promise<string> {
    try {
      const { conversation } = await this.api.messaging.createDirectConversation({ peerUserId });
      if (!conversation) throw new Error("no conversation in the answer");
      this.store.applyConversation(readConversation(conversation));
      this.changed();
      return conversation.conversationId;
    } catch (error) {
      throw readFailure(error);
    }
  }

  /** Brings older messages, at least a page when the service has them. One request a conversation at a time. */
  async loadOlder(conversationId: string): Promise<void> {
    const view = this.store.get(conversationId);
    if (!view?.hasOlder || this.loading.has(conversationId)) return;
    this.loading.add(conversationId);
    try {
      const beforeSeq = BigInt(view.messages[0]?.seq ?? 0);
      const page = await this.api.messaging.listMessages({ conversationId, beforeSeq, pageSize: HISTORY_PAGE });
      this.store.applyHistory(conversationId, page.messages.map(readMessage));
    } finally {
      this.loading.delete(conversationId);
      this.changed();
    }
  }

  /** Shows the text at once and sends it; the sends of one conversation leave in the order of writing. */
  send(conversationId: string, draft: string | Draft): void {
    const { text, entities = [], replyToSeq = 0 } = typeof draft === "string" ? { text: draft } : draft;
    const common = { clientMessageId: crypto.randomUUID(), conversationId, text, entities, replyToSeq, createTimeMs: Date.now() };
    const outgoing = { ...common, state: "sending", problem: undefined, retryable: true } as const;
    this.store.addOutgoing(outgoing);
    this.changed();
    this.enqueue(outgoing);
  }

  /** Replaces the text of one's own message. Rejects with a Failure. */
  edit(conversationId: string, seq: number, text: string, entities: readonly Entity[] = []): Promise<void> {
    return this.changedMessage(this.api.messaging.editMessage({ conversationId, seq: BigInt(seq), text: writeText(text, entities) }));
  }

  /** Takes one's own message back for everyone. Rejects with a Failure. */
  unsend(conversationId: string, seq: number): Promise<void> {
    return this.changedMessage(this.api.messaging.unsendMessage({ conversationId, seq: BigInt(seq) }));
  }

  /** Puts one's reaction on a message, or takes it away. Rejects with a Failure. */
  react(conversationId: string, seq: number, emoji: string, present: boolean): Promise<void> {
    return this.changedMessage(this.api.messaging.setReaction({ conversationId, seq: BigInt(seq), emoji, present }));
  }

  private async changedMessage(request: Promise<{ message?: WireMessage | undefined }>): Promise<void> {
    try {
      const { message } = await request;
      if (message) this.receive(readMessage(message));
    } catch (error) {
      throw readFailure(error);
    }
  }

  /** Sends a failed message again, under its first id: had the first arrived after all, this returns it. */
  retry(conversationId: string, clientMessageId: string): void {
    const outgoing = this.find(conversationId, clientMessageId);
    if (outgoing?.state !== "failed") return;
    this.store.updateOutgoing(conversationId, clientMessageId, { state: "sending", problem: undefined });
    this.changed();
    this.enqueue(outgoing);
  }

  /** After the connection came back. */
  retryFailed(): void {
    for (const o of this.store.outgoing()) if (o.state === "failed" && o.retryable) this.retry(o.conversationId, o.clientMessageId);
  }

  discard(conversationId: string, clientMessageId: string): void {
    this.store.removeOutgoing(conversationId, clientMessageId);
    this.changed();
  }

  /** The user has seen everything that is shown of the conversation. Tells the service once per new message. */
  async markRead(conversationId: string): Promise<void> {
    const seq = this.store.get(conversationId)?.messages.at(-1)?.seq ?? 0;
    const moved = this.store.applyRead(conversationId, this.selfId, seq);
    if (!moved && !this.unsentReads.has(conversationId)) return;
    this.unsentReads.add(conversationId);
    this.changed();
    try {
      await this.api.messaging.markRead({ conversationId, seq: BigInt(seq) });
      this.unsentReads.delete(conversationId);
    } catch {
      // Kept in unsentReads: the next look at the conversation, at the latest after the reconnect, tells it again.
    }
  }

  private find(conversationId: string, clientMessageId: string): Outgoing | undefined {
    return this.store.get(conversationId)?.outgoing.find((o) => o.clientMessageId === clientMessageId);
  }

  private enqueue(outgoing: Outgoing): void {
    const before = this.lanes.get(outgoing.conversationId) ?? Promise.resolve();
    const after = before.then(() => this.deliver(outgoing));
    this.lanes.set(outgoing.conversationId, after);
  }

  private async deliver(outgoing: Outgoing): Promise<void> {
    const failure = await this.attempt(outgoing);
    if (failure) {
      const change = { state: "failed", problem: failure.line, retryable: failure.transient } as const;
      this.store.updateOutgoing(outgoing.conversationId, outgoing.clientMessageId, change);
    }
    this.changed();
  }

  private async attempt({ conversationId, clientMessageId, text, entities, replyToSeq }: Outgoing): Promise<Failure | undefined> {
    const content = { case: "text", value: writeText(text, entities) } as const;
    const request = { conversationId, clientMessageId, content, replyToSeq: BigInt(replyToSeq) };
    for (let attempt = 0; ; attempt++) {
      try {
        const { message } = await this.api.messaging.sendMessage(request);
        if (message) this.receive(readMessage(message));
        return undefined;
      } catch (error) {
        const failure = readFailure(error);
        if (!failure.transient || attempt + 1 >= SEND_ATTEMPTS) return failure;
        await new Promise((resolve) => setTimeout(resolve, backoffMs(attempt, Math.random(), failure.retryDelayMs)));
      }
    }
  }
}
