import type { ConversationStore } from "./core/conversation-store.js";

/** Timers of browsers cannot be longer than 24 days; and a computer that slept should look again soon. */
const LONGEST_MS = 60_000;

/** Removes expired messages in time, also without an event of the service. */
export class Expiry {
  private timer: ReturnType<typeof setTimeout> | undefined;

  constructor(
    private readonly store: ConversationStore,
    private readonly changed: () => void,
  ) {}

  /** Call after changes. */
  update(): void {
    clearTimeout(this.timer);
    if (this.store.expire(Date.now())) this.changed();
    const nextMs = this.store.nextExpiryMs();
    if (nextMs === undefined) return;
    this.timer = setTimeout(() => this.update(), Math.min(LONGEST_MS, Math.max(0, nextMs - Date.now())));
  }

  close(): void {
    clearTimeout(this.timer);
  }
}
