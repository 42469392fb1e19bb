/** While typing, the news is repeated this often (the protocol's figure). */
export const TYPING_REPEAT_MS = 4000;
/** Without a key press for this long, the user counts as having stopped. */
export const TYPING_IDLE_MS = 5000;
/** Shown at most this long without a refresh (the protocol's figure). */
export const TYPING_EXPIRY_MS = 6000;

/** Decides when to tell the others that this user types. */
export class TypingNotifier {
  private lastSentMs: number | undefined;
  private lastKeyMs = 0;

  /** A change of the draft. Returns what to send now, if anything. */
  handleDraft(empty: boolean, nowMs: number): boolean | undefined {
    if (empty) return this.handleStop();
    this.lastKeyMs = nowMs;
    if (this.lastSentMs !== undefined && nowMs - this.lastSentMs < TYPING_REPEAT_MS) return undefined;
    this.lastSentMs = nowMs;
    return true;
  }

  /** A tick of a timer, about once a second while typing. */
  handleTick(nowMs: number): boolean | undefined {
    if (this.lastSentMs === undefined) return undefined;
    return nowMs - this.lastKeyMs >= TYPING_IDLE_MS ? this.handleStop() : undefined;
  }

  /** Sent, cleared, or the conversation was left. */
  handleStop(): boolean | undefined {
    if (this.lastSentMs === undefined) return undefined;
    this.lastSentMs = undefined;
    return false;
  }

  get typing(): boolean {
    return this.lastSentMs !== undefined;
  }
}

/** Who is typing where, as far as the events say. */
export class TypingUsers {
  private readonly untilMs = new Map<string, Map<string, number>>();

  apply(conversationId: string, userId: string, typing: boolean, nowMs: number): void {
    const people = this.untilMs.get(conversationId) ?? new Map<string, number>();
    this.untilMs.set(conversationId, people);
    if (typing) people.set(userId, nowMs + TYPING_EXPIRY_MS);
    else people.delete(userId);
  }

  /** The people to show as typing at `nowMs`. */
  in(conversationId: string, nowMs: number): string[] {
    const people = this.untilMs.get(conversationId);
    return people ? [...people].filter(([, until]) => until > nowMs).map(([userId]) => userId) : [];
  }
}
