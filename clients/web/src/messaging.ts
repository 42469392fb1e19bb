import type { Message as WireMessage } from "./gen/parley/messaging/v1/messages_pb.js";
import type { Api } from "./api.js";
import type { ApplyResult, ConversationStore, Delta } from "./core/conversation-store.js";
import { ConversationLoader } from "./conversation-loader.js";
import { qualified } from "./core/emoji.js";
import type { CursorMove } from "./core/stored-conversation.js";
import type { Conversation, Edit, Entity, LinkPreview, Message, NewPoll, NewSticker, Outgoing, OwnState, RequestState } from "./core/model.js";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { asFailure, orFailure, readFailure } from "./errors.js";
import type { SendMessageRequestSchema } from "./gen/parley/messaging/v1/service_pb.js";
import type { Draft } from "./outbox.js";
import { Outbox } from "./outbox.js";
import { millis, readConversation, readMessage, writeText } from "./wire.js";

type SentContent = NonNullable<MessageInitShape<typeof SendMessageRequestSchema>["content"]>;

/** Conversations and their messages: what the event stream and Sync say of them, and what this user does. */
export class Messaging extends ConversationLoader {
  private readonly leavingIds = new Set<string>();
  private readonly unsentReads = new Set<string>();
  private readonly writeRefused = new Set<string>();
  private readonly outbox: Outbox;

  constructor(
    api: Api,
    store: ConversationStore,
    changed: () => void,
    /** Told of a group that this user was taken out of. */
    private readonly onRemoved: (conversation: Conversation) => void,
  ) {
    super(api, store, changed);
    this.outbox = new Outbox(api, store, changed, {
      onSent: (message) => {
        // Writing in a request accepts it.
        this.setRequest(message.conversationId, "none");
        this.receive(message);
      },
      onFailed: (conversationId, failure) => {
        if (failure.reason === "NOT_ALLOWED") this.writeRefused.add(conversationId);
      },
    });
  }

  protected apply(delta: Delta, named: boolean): boolean {
    const before = this.requestOf(delta.conversation.id);
    const moved = named ? this.store.applyDelta(delta) : this.store.applyNewest(delta);
    this.reloadIfAccepted(delta.conversation.id, before);
    return moved;
  }

  /** A message from the event stream, new or changed. What does not fit starts a sync. */
  receive(message: Message): void {
    this.writeRefused.delete(message.conversationId);
    this.syncIfMissing(this.store.applyMessage(message));
    this.changed();
  }

  receiveConversation(conversation: Conversation): void {
    const before = this.store.get(conversation.id);
    const arrival = this.store.applyConversation(conversation);
    if (arrival === "left" && before && !this.leavingIds.has(conversation.id)) this.onRemoved(before.conversation);
    this.syncIfMissing(arrival);
    // A new one may wait in Requests, which only its own state tells.
    if (arrival === "added") void this.sync().catch(() => undefined);
    this.changed();
  }

  /** What one of the user's devices did to a conversation. */
  receiveOwnState(conversationId: string, own: OwnState): void {
    const before = this.requestOf(conversationId);
    this.syncIfMissing(this.store.applyOwnState(conversationId, own));
    this.changed();
    this.reloadIfAccepted(conversationId, before);
  }

  private requestOf(conversationId: string): RequestState {
    return this.store.get(conversationId)?.own.request ?? "none";
  }

  /** Messages of a request have no files and links until it is accepted, on this device or another one. */
  private reloadIfAccepted(conversationId: string, before: RequestState): void {
    if (before !== "none" && this.requestOf(conversationId) === "none") void this.reloadNewest(conversationId).catch(() => undefined);
  }

  /** The user accepted or declined a request. */
  setRequest(conversationId: string, request: RequestState): void {
    const view = this.store.get(conversationId);
    if (view && view.own.request !== request) this.receiveOwnState(conversationId, { ...view.own, unreadCount: view.unread, request });
  }

  /** Runs a request by which this user leaves, and forgets the conversation. The event may come before the answer. */
  async leaving(conversationId: string, request: () => Promise<unknown>): Promise<void> {
    this.leavingIds.add(conversationId);
    try {
      await request();
      this.store.forget(conversationId);
      this.changed();
    } finally {
      this.leavingIds.delete(conversationId);
    }
  }

  protected drop(conversationId: string): void {
    const before = this.store.get(conversationId);
    if (this.store.forget(conversationId) && before) this.onRemoved(before.conversation);
  }

  private syncIfMissing(arrival: ApplyResult): void {
    if (arrival === "gap" || arrival === "unknown") void this.sync().catch(() => undefined);
  }

  receiveCursors(conversationId: string, userId: string, move: CursorMove): void {
    if (this.store.applyCursors(conversationId, userId, move)) this.changed();
  }

  /** Whether the service has refused to let this user write here. What happens in the conversation, or to blocks, may end it. */
  isWriteRefused(conversationId: string): boolean {
    return this.writeRefused.has(conversationId);
  }

  /** Blocks have changed: writing may be allowed again. */
  clearWriteRefusals(): void {
    this.writeRefused.clear();
  }

  /** Opens the conversation with a person and returns its id; without a network the one that is held. Rejects with a Failure. */
  async openDirect(peerUserId: string): Promise<string> {
    try {
      const { conversation } = await this.api.messaging.createDirectConversation({ peerUserId });
      if (!conversation) throw new Error("no conversation in the answer");
      this.store.applyConversation(readConversation(conversation));
      this.changed();
      return conversation.conversationId;
    } catch (error) {
      const failure = readFailure(error);
      const held = failure.transient ? this.store.directWith(peerUserId) : undefined;
      if (held === undefined) throw asFailure(error);
      return held;
    }
  }

  /** Shows the text at once and sends it; the sends of one conversation leave in the order of writing. */
  send(conversationId: string, draft: string | Draft): void {
    this.outbox.send(conversationId, typeof draft === "string" ? { text: draft } : draft);
  }

  /** Shows and sends what waited when an earlier page was closed. */
  resume(outgoing: Outgoing): void {
    this.outbox.resume(outgoing);
  }

  /** Takes a message away that another window of this browser has sent or deleted: this one tries no more. */
  withdraw(conversationId: string, clientMessageId: string): void {
    this.outbox.withdraw(clientMessageId);
    this.store.removeOutgoing(conversationId, clientMessageId);
    this.changed();
  }

  /** Sends a failed message again, under its first id. */
  retry(conversationId: string, clientMessageId: string): void {
    this.outbox.retry(conversationId, clientMessageId);
  }

  /** After the connection came back. */
  retryFailed(): void {
    this.outbox.retryFailed();
  }

  /** Deletes a message that was not sent; what waits for a review is taken back. If that fails, it stays, and says why. */
  discard(conversationId: string, clientMessageId: string): Promise<void> {
    return this.outbox.discard(conversationId, clientMessageId);
  }

  /** The earlier texts of a message, the oldest first. Rejects with a Failure. */
  async edits(conversationId: string, seq: number): Promise<Edit[]> {
    const { edits } = await orFailure(this.api.messaging.listEdits({ conversationId, seq: BigInt(seq) }));
    return edits.map(({ text, writeTime }) => ({ text: text?.text ?? "", writeTimeMs: millis(writeTime) ?? 0 }));
  }

  /** Replaces the text of one's own message, with its links, mentions and preview. Rejects with a Failure. */
  edit(conversationId: string, seq: number, text: string, entities?: readonly Entity[], preview?: LinkPreview): Promise<void> {
    return this.changedMessage(this.api.messaging.editMessage({ conversationId, seq: BigInt(seq), text: writeText({ text, entities, preview }) }));
  }

  /** Unsends one's own message for everyone. Rejects with a Failure. */
  unsend(conversationId: string, seq: number): Promise<void> {
    return this.changedMessage(this.api.messaging.unsendMessage({ conversationId, seq: BigInt(seq) }));
  }

  /** Puts one's reaction on a message, or takes it away. Rejects with a Failure. */
  react(conversationId: string, seq: number, emoji: string, present: boolean): Promise<void> {
    return this.changedMessage(this.api.messaging.setReaction({ conversationId, seq: BigInt(seq), emoji: qualified(emoji), present }));
  }

  /**
   * Sends a poll, and resolves when it is stored. Give one id to one poll: sent again after a lost answer, it is stored once.
   * Rejects with a Failure.
   */
  sendPoll(conversationId: string, { question, options, multiple }: NewPoll, clientMessageId?: string): Promise<void> {
    return this.sendContent(conversationId, { case: "poll", value: { question, options: [...options], multiple } }, 0, clientMessageId);
  }

  /** Sends a sticker, as `sendPoll` a poll. Rejects with a Failure, of the reason STICKER_HOST_NOT_ALLOWED for a host that is not allowed. */
  sendSticker(conversationId: string, { replyToSeq = 0, ...value }: NewSticker, clientMessageId?: string): Promise<void> {
    return this.sendContent(conversationId, { case: "sticker", value }, replyToSeq, clientMessageId);
  }

  private async sendContent(conversationId: string, content: SentContent, replyToSeq: number, clientMessageId: string = crypto.randomUUID()): Promise<void> {
    await this.changedMessage(this.api.messaging.sendMessage({ conversationId, clientMessageId, replyToSeq: BigInt(replyToSeq), content }));
    // Writing in a request accepts it.
    this.setRequest(conversationId, "none");
  }

  /** Makes these options of a poll one's choice, in place of an earlier one; none takes the vote back. Rejects with a Failure. */
  vote(conversationId: string, seq: number, optionIndexes: readonly number[]): Promise<void> {
    return this.changedMessage(this.api.messaging.votePoll({ conversationId, seq: BigInt(seq), optionIndexes: [...optionIndexes] }));
  }

  private async changedMessage(request: Promise<{ message?: WireMessage | undefined }>): Promise<void> {
    const { message } = await orFailure(request);
    if (message) this.receive(readMessage(message));
  }

  /** The user has seen everything that is shown of the conversation. Tells the service once per new message; of a request, nobody. */
  async markRead(conversationId: string): Promise<void> {
    const view = this.store.get(conversationId);
    if (!view || view.own.request !== "none") return;
    const seq = view.messages.at(-1)?.seq ?? 0;
    const moved = this.store.applyOwnRead(conversationId, seq);
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
}
