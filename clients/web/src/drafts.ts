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

  private key(conversationId: string): string {
    return `parley.draft.${this.userId}.${conversationId}`;
  }
}
