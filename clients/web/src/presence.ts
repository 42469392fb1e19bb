import type { Api } from "./api.js";
import type { Presence } from "./core/model.js";
import { TYPING_EXPIRY_MS, TypingUsers, TypingNotifier } from "./core/typing.js";

const TICK_MS = 1000;
const WATCH_RETRY_MS = 3000;
/** The protocol's limit. */
const MAX_WATCHED = 1000;

/** Who is online and who is typing; reports that this user types. */
export class PresenceTracker {
  private readonly people = new Map<string, Presence>();
  private readonly typingUsers = new TypingUsers();
  private readonly notifiers = new Map<string, TypingNotifier>();
  private ticking: ReturnType<typeof setInterval> | undefined;
  private watched = "";
  /** The list that was given last, as it is kept: it is another one where people changed. */
  private given: readonly string[] | undefined;

  constructor(
    private readonly api: Api,
    private readonly deviceId: string,
    private readonly changed: () => void,
  ) {}

  of(userId: string): Presence | undefined {
    return this.people.get(userId);
  }

  typing(conversationId: string): string[] {
    return this.typingUsers.in(conversationId, Date.now());
  }

  /** Watches these people, the first ones where they are too many. Asks only when the list changed; it belongs to the stream, so `unwatch` with a new one. */
  async watch(userIds: readonly string[]): Promise<void> {
    if (userIds === this.given) return;
    this.given = userIds;
    const list = userIds.slice(0, MAX_WATCHED).sort();
    const key = list.join("\n");
    if (key === this.watched) return;
    this.watched = key;
    try {
      await this.api.presence.watchPresence({ deviceId: this.deviceId, userIds: list });
    } catch {
      setTimeout(() => this.watchAgain(key), WATCH_RETRY_MS);
    }
  }

  /** The stream is down: nothing is known about anyone. */
  forget(): void {
    this.people.clear();
    this.changed();
  }

  /** The stream is a new one: it knows of no list. */
  unwatch(): void {
    this.watched = "";
    this.given = undefined;
    this.changed();
  }

  applyPresence(userId: string, presence: Presence): void {
    this.people.set(userId, presence);
    this.changed();
  }

  applyTyping(conversationId: string, userId: string, typing: boolean): void {
    this.typingUsers.apply(conversationId, userId, typing, Date.now());
    if (typing) setTimeout(this.changed, TYPING_EXPIRY_MS + 50);
    this.changed();
  }

  /** The draft changed; call with the text after each key press. */
  draft(conversationId: string, text: string): void {
    const notifier = this.notifiers.get(conversationId) ?? new TypingNotifier();
    this.notifiers.set(conversationId, notifier);
    this.sendTyping(conversationId, notifier.handleDraft(text.trim() === "", Date.now()));
    this.ticking ??= setInterval(() => this.tick(), TICK_MS);
  }

  /** The message was sent: its arrival tells the others already, but only this ends the line on their other screens. */
  stopTyping(conversationId: string): void {
    this.sendTyping(conversationId, this.notifiers.get(conversationId)?.handleStop());
  }

  close(): void {
    clearInterval(this.ticking);
    this.ticking = undefined;
  }

  private watchAgain(key: string): void {
    if (this.watched !== key) return;
    this.watched = "";
    this.given = undefined;
    this.changed();
  }

  private tick(): void {
    for (const [conversationId, notifier] of this.notifiers) this.sendTyping(conversationId, notifier.handleTick(Date.now()));
    if (![...this.notifiers.values()].some((notifier) => notifier.typing)) this.close();
  }

  private sendTyping(conversationId: string, typing: boolean | undefined): void {
    if (typing === undefined) return;
    void this.api.presence.setTyping({ conversationId, typing }).catch(() => undefined);
  }
}
