import type { Api } from "./api";
import { backoffMs } from "./core/backoff";
import type { ConversationStore } from "./core/conversation-store";
import type { Conversation, Message, Outgoing } from "./core/model";
import type { Failure } from "./errors";
import { readFailure } from "./errors";
import { readConversation, readMessage } from "./wire";

/** Messages of history that one request brings. */
const HISTORY_PAGE = 50;
/** A send is tried so often before it is shown as failed. More hides an outage for longer; fewer asks people to retry by hand. */
const SEND_ATTEMPTS = 3;
const SYNC_LIMIT = 200;

/** Fills the conversation store from the messaging service, and sends. */
export class Messaging {
  private syncing: Promise<void> | undefined;
  private syncAgain = false;
  private listed = false;
  private readonly loading = new Set<string>();
  private readonly lanes = new Map<string, Promise<void>>();
  private readonly unsentReads = new Set<string>();

  constructor(
    private readonly api: Api,
    private readonly selfId: string,
    readonly store: ConversationStore,
    private readonly changed: () => void,
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
        if (conversation) this.store.applyDelta(readConversation(conversation), lastMessage ? [readMessage(lastMessage)] : []);
      }
      pageToken = page.nextPageToken;
      this.changed();
    } while (pageToken);
    this.listed = true;
    this.changed();
  }

  private async syncDeltas(): Promise<void> {
    let more = true;
    while (more) {
      const cursors = this.store.cursors().map((c) => ({ conversationId: c.conversationId, seq: BigInt(c.seq) }));
      const { deltas } = await this.api.messaging.sync({ cursors, limit: SYNC_LIMIT });
      for (const { conversation, messages } of deltas) {
        if (conversation) this.store.applyDelta(readConversation(conversation), messages.map(readMessage));
      }
      more = deltas.some((delta) => delta.hasMore && delta.messages.length > 0);
      this.changed();
    }
  }

  /** A message from the event stream. What does not fit starts a sync. */
  receive(message: Message): void {
    const arrival = this.store.applyMessage(message);
    if (arrival === "gap" || arrival === "stranger") void this.sync().catch(() => undefined);
    this.changed();
  }

  receiveConversation(conversation: Conversation): void {
    this.store.applyConversation(conversation);
    this.changed();
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
  send(conversationId: string, text: string): void {
    const clientMessageId = crypto.randomUUID();
    const common = { clientMessageId, conversationId, text, createTimeMs: Date.now() };
    this.store.addOutgoing({ ...common, state: "sending", problem: undefined, retryable: true });
    this.changed();
    this.enqueue(conversationId, clientMessageId, text);
  }

  /** Sends a failed message again, under its first id: had the first arrived after all, this returns it. */
  retry(conversationId: string, clientMessageId: string): void {
    const outgoing = this.find(conversationId, clientMessageId);
    if (outgoing?.state !== "failed") return;
    this.store.updateOutgoing(conversationId, clientMessageId, { state: "sending", problem: undefined });
    this.changed();
    this.enqueue(conversationId, clientMessageId, outgoing.text);
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

  private enqueue(conversationId: string, clientMessageId: string, text: string): void {
    const before = this.lanes.get(conversationId) ?? Promise.resolve();
    const after = before.then(() => this.deliver(conversationId, clientMessageId, text));
    this.lanes.set(conversationId, after);
  }

  private async deliver(conversationId: string, clientMessageId: string, text: string): Promise<void> {
    const failure = await this.attempt(conversationId, clientMessageId, text);
    if (failure) {
      const change = { state: "failed", problem: failure.line, retryable: failure.transient } as const;
      this.store.updateOutgoing(conversationId, clientMessageId, change);
    }
    this.changed();
  }

  private async attempt(conversationId: string, clientMessageId: string, text: string): Promise<Failure | undefined> {
    const content = { case: "text", value: { text } } as const;
    for (let attempt = 0; ; attempt++) {
      try {
        const { message } = await this.api.messaging.sendMessage({ conversationId, clientMessageId, content });
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
