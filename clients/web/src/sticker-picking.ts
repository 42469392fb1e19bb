import { Changes } from "./changes.js";
import type { ParleyClient } from "./client.js";
import type { NewSticker, StickerProvider } from "./core/model.js";
import { sendableStickers } from "./core/stickers.js";
import { type Failure, readFailure } from "./errors.js";

/** Whoever types goes on within this time. Raising it finds later; lowering it asks the provider about half of a word. */
const PAUSE_MS = 300;
/** Raising it loads more pictures at once. */
const MOST_FOUND = 60;

/** What a picker of stickers shows. */
export interface StickerPick {
  /** Stickers that may be sent here; while the provider looks, what it found before. */
  readonly found: readonly NewSticker[];
  readonly search: "running" | "done" | "failed";
  readonly sending: boolean;
  /** Why the last one was not sent. */
  readonly failure: Failure | undefined;
}

/**
 * Behind a picker of stickers, `@parley/client/stickers`: finds them at a provider, and sends the one that is chosen to a conversation.
 * Nothing is asked before `open`. Which stickers are shown follows the hosts that the service allows.
 */
export class StickerPicking {
  private readonly changes = new Changes();
  private readonly attempt = { of: "", id: "" };
  private pick: StickerPick = { found: [], search: "running", sending: false, failure: undefined };
  private words = "";
  private answer: readonly NewSticker[] = [];
  private request = new AbortController();
  private timer: ReturnType<typeof setTimeout> | undefined;

  /** `replyToSeq`: the message that a sticker answers; 0 for none. */
  constructor(
    private readonly client: Pick<ParleyClient, "limits" | "messaging" | "subscribe">,
    private readonly provider: StickerProvider,
    private readonly conversationId: string,
    private readonly replyToSeq = 0,
  ) {}

  /** The same object until something changes. */
  get current(): StickerPick {
    return this.pick;
  }

  /** Returns the function that ends the subscription. */
  subscribe(listener: () => void): () => void {
    return this.changes.subscribe(listener);
  }

  /** Asks for what the provider shows without words. Returns the function that closes: nothing is looked for any more. */
  open(): () => void {
    let { limits } = this.client;
    const unsubscribe = this.client.subscribe(() => {
      if (limits === this.client.limits) return;
      limits = this.client.limits;
      this.set({ found: this.sendable() });
    });
    this.look(0);
    return () => {
      unsubscribe();
      this.stop();
    };
  }

  /** Looks for these words once no others have come for a moment. */
  find(words: string): void {
    if (words.trim() === this.words) return;
    this.words = words.trim();
    this.look(this.words ? PAUSE_MS : 0);
  }

  /** Looks for the same words once more. */
  again(): void {
    this.look(0);
  }

  /** Sends a sticker, one at a time, and under one id for the same one: a second attempt after a lost answer sends nothing twice. Returns whether it was sent. */
  async send(sticker: NewSticker): Promise<boolean> {
    if (this.pick.sending) return false;
    if (this.attempt.of !== sticker.url) Object.assign(this.attempt, { of: sticker.url, id: crypto.randomUUID() });
    this.set({ sending: true, failure: undefined });
    try {
      await this.client.messaging.sendSticker(this.conversationId, { ...sticker, replyToSeq: this.replyToSeq }, this.attempt.id);
      this.set({ sending: false });
      return true;
    } catch (error) {
      this.set({ sending: false, failure: readFailure(error) });
      return false;
    }
  }

  private look(pauseMs: number): void {
    this.stop();
    const { signal } = (this.request = new AbortController());
    this.set({ search: "running" });
    this.timer = setTimeout(() => void this.ask(signal), pauseMs);
  }

  private async ask(signal: AbortSignal): Promise<void> {
    const answer = await this.provider.search(this.words, signal).catch(() => undefined);
    if (signal.aborted) return;
    this.answer = answer ?? [];
    this.set({ found: this.sendable(), search: answer ? "done" : "failed" });
  }

  private sendable(): readonly NewSticker[] {
    return sendableStickers(this.answer, this.client.limits).slice(0, MOST_FOUND);
  }

  private stop(): void {
    clearTimeout(this.timer);
    this.request.abort();
  }

  private set(changed: Partial<StickerPick>): void {
    this.pick = { ...this.pick, ...changed };
    this.changes.notify();
  }
}
