import type { Api } from "./api.js";
import type { ConversationView } from "./core/conversation-store.js";

/** So long arrivals are gathered. Longer, and senders wait for their second tick; shorter, and there are more requests. */
export const BATCH_MS = 1000;
/** The service's limit of one request. */
const MAX_CURSORS = 100;

/** Tells the service what has reached this device, in batches. */
export class DeliveryReceipts {
  private readonly reported = new Map<string, number>();
  private readonly pending = new Map<string, number>();
  /** In which everything was looked for: the same list has nothing new. */
  private seen: readonly ConversationView[] | undefined;
  private timer: ReturnType<typeof setTimeout> | undefined;

  constructor(
    private readonly api: Api,
    private readonly selfId: string,
    /** False while the user sends no receipts. */
    private readonly enabled: () => boolean,
  ) {}

  /** Finds messages that arrived since the last call; call after changes. Requests that were not accepted get no receipts. */
  report(views: readonly ConversationView[]): void {
    if (!this.enabled() || views === this.seen) return;
    this.seen = views;
    for (const view of views) {
      const seq = newestReceivedSeq(view, this.selfId);
      const { id } = view.conversation;
      if (view.own.request === "none" && seq > Math.max(this.reported.get(id) ?? 0, this.pending.get(id) ?? 0)) this.pending.set(id, seq);
    }
    if (this.pending.size > 0) this.timer ??= setTimeout(() => void this.flush(), BATCH_MS);
  }

  close(): void {
    clearTimeout(this.timer);
    this.timer = undefined;
    this.pending.clear();
    this.seen = undefined;
  }

  private async flush(): Promise<void> {
    const batch = [...this.pending].slice(0, MAX_CURSORS);
    for (const [id, seq] of batch) {
      this.pending.delete(id);
      this.reported.set(id, seq);
    }
    this.timer = this.pending.size > 0 ? setTimeout(() => void this.flush(), BATCH_MS) : undefined;
    try {
      await this.api.messaging.markDelivered({ cursors: batch.map(([conversationId, seq]) => ({ conversationId, seq: BigInt(seq) })) });
    } catch {
      for (const [id] of batch) this.reported.delete(id);
      this.seen = undefined;
      // The next change, at the latest the sync after a reconnect, finds it again.
    }
  }
}

/** The newest message of somebody else that is here and that the service does not know to be; 0 for none. */
function newestReceivedSeq({ conversation, messages, own }: ConversationView, selfId: string): number {
  const known = Math.max(own.readSeq, conversation.members.find((m) => m.userId === selfId)?.deliveredSeq ?? 0);
  const newest = messages.at(-1)?.seq ?? 0;
  if (newest <= known) return 0;
  return messages.findLast((m) => m.senderId !== selfId && m.seq > known)?.seq ?? 0;
}
