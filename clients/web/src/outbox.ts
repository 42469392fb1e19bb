import type { Api } from "./api.js";
import { backoffMs } from "./core/backoff.js";
import type { ConversationStore } from "./core/conversation-store.js";
import type { Attachment, Message, Outgoing, WrittenText } from "./core/model.js";
import { userMessage } from "./core/user-messages.js";
import type { Failure } from "./errors.js";
import { readFailure } from "./errors.js";
import { readMessage, writeText } from "./wire.js";

/** A send is tried so often before it is shown as failed. More hides an outage for longer; fewer asks people to retry by hand. */
const SEND_ATTEMPTS = 3;
/** A longer wait that the service asks for is left to the user. */
const MAX_WAIT_MS = 60_000;

/** So long a message waits for its files to be scanned before it is shown as failed, to be sent again by hand. */
const MAX_SCAN_WAIT_MS = 300_000;

/** What one writes. */
export interface Draft extends WrittenText {
  /** The message that it answers. */
  readonly replyToSeq?: number;
  /** Files that have arrived at the store; the text may be empty beside them. */
  readonly attachments?: readonly Attachment[];
  /** Each recipient may open the one picture or video once; there is no text beside it. */
  readonly viewOnce?: boolean;
}

export interface OutboxListener {
  /** A message of this device was acknowledged. */
  readonly onSent: (message: Message) => void;
  /** One could not be sent; the store has whether it can be tried again. */
  readonly onFailed: (conversationId: string, failure: Failure) => void;
}

/** Sends what this device writes: shown at once, in the order of writing, each once. */
export class Outbox {
  private readonly withdrawn = new Set<string>();
  private readonly queues = new Map<string, Promise<void>>();
  /** Of the message written last. */
  private writtenMs = 0;
  /** How often the connection came back. */
  private returns = 0;

  constructor(
    private readonly api: Api,
    private readonly store: ConversationStore,
    private readonly changed: () => void,
    private readonly listener: OutboxListener,
  ) {}

  send(conversationId: string, draft: Draft): void {
    const { text, entities = [], preview, replyToSeq = 0, attachments = [], viewOnce = false } = draft;
    const common = { clientMessageId: crypto.randomUUID(), conversationId, text, entities, preview, replyToSeq, attachments, viewOnce, createTimeMs: this.nextMs() };
    const outgoing = { ...common, state: "sending", problem: undefined, retryable: true, held: false } as const;
    this.store.addOutgoing(outgoing);
    this.changed();
    this.enqueue(outgoing);
  }

  /** Shows a message of an earlier page again, and sends it under its first id: had it arrived after all, this returns it. */
  resume(outgoing: Outgoing): void {
    this.writtenMs = Math.max(this.writtenMs, outgoing.createTimeMs);
    this.store.addOutgoing(outgoing);
    this.changed();
    if (outgoing.state === "sending") this.enqueue(outgoing);
  }

  /** Deletes one that was not sent; one that waits for a review, at the service first. If that fails, it stays, and says why. */
  async discard(conversationId: string, clientMessageId: string): Promise<void> {
    const outgoing = this.store.get(conversationId)?.outgoing.find((o) => o.clientMessageId === clientMessageId);
    if (outgoing?.held) {
      const failure = await this.takeBack(outgoing);
      if (failure) return this.update(outgoing, { problem: failure });
    }
    this.store.removeOutgoing(conversationId, clientMessageId);
    this.changed();
  }

  private async takeBack({ conversationId, clientMessageId }: Outgoing): Promise<Failure | undefined> {
    try {
      await this.api.messaging.withdrawHeldMessage({ conversationId, held: { case: "clientMessageId", value: clientMessageId } });
      return undefined;
    } catch (error) {
      const failure = readFailure(error);
      // Nobody has it any more.
      return failure.reason === "HELD_NOT_FOUND" ? undefined : failure;
    }
  }

  /** Tries this one no more. */
  withdraw(clientMessageId: string): void {
    this.withdrawn.add(clientMessageId);
  }

  /** Sends a failed message again, under its first id: had the first arrived after all, this returns it. */
  retry(conversationId: string, clientMessageId: string): void {
    const outgoing = this.store.get(conversationId)?.outgoing.find((o) => o.clientMessageId === clientMessageId);
    if (outgoing?.state !== "failed") return;
    this.update(outgoing, { state: "sending", problem: undefined });
    this.enqueue(outgoing);
  }

  /** After the connection came back. */
  retryFailed(): void {
    this.returns++;
    for (const o of this.store.outgoing()) if (o.state === "failed" && o.retryable) this.retry(o.conversationId, o.clientMessageId);
  }

  /** Now, and later than all before: by it the order of writing is known again after a reload. */
  private nextMs(): number {
    this.writtenMs = Math.max(Date.now(), this.writtenMs + 1);
    return this.writtenMs;
  }

  private update({ conversationId, clientMessageId }: Outgoing, change: Partial<Outgoing>): void {
    this.store.updateOutgoing(conversationId, clientMessageId, change);
    this.changed();
  }

  private enqueue(outgoing: Outgoing): void {
    const before = this.queues.get(outgoing.conversationId) ?? Promise.resolve();
    const after = before.then(() => this.deliver(outgoing));
    this.queues.set(outgoing.conversationId, after);
  }

  private async deliver(outgoing: Outgoing): Promise<void> {
    const failure = await this.attempt(outgoing);
    if (!failure) return this.changed();
    this.listener.onFailed(outgoing.conversationId, failure);
    // While nobody answers, it waits there as it did.
    const held = failure.reason === "MESSAGE_HELD" || (outgoing.held && failure.transient);
    this.update(outgoing, { state: "failed", problem: failure, retryable: failure.transient, held });
  }

  private async attempt(outgoing: Outgoing): Promise<Failure | undefined> {
    const { conversationId, clientMessageId, text, replyToSeq, attachments, viewOnce } = outgoing;
    let { entities, preview } = outgoing;
    const attachmentIds = attachments.map((attachment) => attachment.id);
    const startedMs = Date.now();
    for (let attempt = 0; ; attempt++) {
      const returns = this.returns;
      if (this.withdrawn.has(clientMessageId)) return undefined;
      try {
        const content = { case: "text", value: writeText({ text, entities, preview }) } as const;
        const { message } = await this.api.messaging.sendMessage({ conversationId, clientMessageId, content, attachmentIds, viewOnce, replyToSeq: BigInt(replyToSeq) });
        if (message) this.listener.onSent(readMessage(message));
        return undefined;
      } catch (error) {
        const failure = readFailure(error);
        if (failure.field && preview) {
          // Whatever is not taken, it may be the preview, or its link.
          preview = undefined;
          continue;
        }
        if (failure.field === "text.entities.link_url" && entities.some(({ kind }) => kind === "link")) {
          // What the service does not take for a link is sent as the text that it is.
          entities = entities.filter(({ kind }) => kind !== "link");
          continue;
        }
        if (failure.reason === "ATTACHMENT_NOT_SCANNED" && Date.now() - startedMs < MAX_SCAN_WAIT_MS) {
          this.update(outgoing, { problem: userMessage("file_being_checked") });
          attempt = 0;
        }
        // It began before the connection came back, and says nothing of how things are since; nobody would repeat it later.
        if (failure.transient && returns !== this.returns) attempt = 0;
        if (!failure.transient || attempt + 1 >= SEND_ATTEMPTS || failure.retryDelayMs > MAX_WAIT_MS) return failure;
        if (failure.reason === "SEND_RATE") this.update(outgoing, { problem: userMessage("sending_too_fast") });
        await new Promise((resolve) => setTimeout(resolve, backoffMs(attempt, Math.random(), failure.retryDelayMs)));
      }
    }
  }
}
