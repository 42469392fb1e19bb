/** What was written and not sent, by conversation. It stays on this device: nothing of it is sent anywhere. */
export class Drafts {
  constructor(
    private readonly userId: string,
    private readonly storage: Pick<Storage, "getItem" | "setItem" | "removeItem"> = localStorage,
  ) {}

  get(conversationId: string): string {
    return this.storage.getItem(this.key(conversationId)) ?? "";
  }

  /** An empty text takes the draft away. A storage that is full loses the draft at the page's end, not before. */
  set(conversationId: string, text: string): void {
    if (!text.trim()) return this.storage.removeItem(this.key(conversationId));
    try {
      this.storage.setItem(this.key(conversationId), text);
    } catch {
      // The field still has it.
    }
  }

  /** Takes all of this user's drafts away. */
  wipe(): void {
    const start = this.key("");
    // A dot in the rest: another user's, whose id begins as this one's.
    const own = Object.keys(this.storage).filter((key) => key.startsWith(start) && !key.slice(start.length).includes("."));
    for (const key of own) this.storage.removeItem(key);
  }

  private key(conversationId: string): string {
    return `parley.draft.${this.userId}.${conversationId}`;
  }
}
