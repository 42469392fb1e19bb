import type { ParleyClient } from "@parley/client";

/** The drafts of a client, which tell of their changes. A browser whose storage is full has them until the page is closed. */
export class LiveDrafts {
  private readonly texts = new Map<string, string>();
  private readonly listeners = new Set<() => void>();

  constructor(private readonly client: ParleyClient) {}

  get(conversationId: string): string {
    return this.texts.get(conversationId) ?? this.client.drafts.get(conversationId);
  }

  set(conversationId: string, text: string): void {
    this.texts.set(conversationId, text);
    this.client.drafts.set(conversationId, text);
    for (const listener of this.listeners) listener();
  }

  subscribe(listener: () => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }
}

const drafts = new WeakMap<ParleyClient, LiveDrafts>();

/** One for each client: the field and the list of conversations show the same. */
export function draftsOf(client: ParleyClient): LiveDrafts {
  const known = drafts.get(client) ?? new LiveDrafts(client);
  drafts.set(client, known);
  return known;
}
