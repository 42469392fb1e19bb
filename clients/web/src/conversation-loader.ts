import type { Api } from "./api.js";
import type { ConversationStore, Delta } from "./core/conversation-store.js";
import { orFailure, readFailure } from "./errors.js";
import { ConversationFolder } from "./gen/parley/messaging/v1/service_pb.js";
import { readConversation, readDelta, readMessage, readOwnState } from "./wire.js";

/** Messages of history in one response. */
const HISTORY_PAGE = 50;
/** The service's largest page: used on the way to a message far back. */
const LONG_HISTORY_PAGE = 200;
/** Messages of one conversation in one response of Sync. */
const SYNC_LIMIT = 50;
/** Conversations whose cursors are sent to Sync; for the others it returns the newest messages. */
const MAX_SYNC_CURSORS = 200;
const LIST_PAGE = 100;
const FOLDERS = [ConversationFolder.UNSPECIFIED, ConversationFolder.REQUESTS];

/** Brings conversations onto this device: the list of the account, what Sync says has changed, and pages of history. */
export abstract class ConversationLoader {
  private syncing: Promise<void> | undefined;
  private syncAgain = false;
  private listed = false;
  /** What was kept of an earlier page is shown, and is not brought up to date by the list but by Sync. */
  private restored = false;
  /** The service's token for how far this device is synchronised. */
  private token = "";
  /** The next page's token by folder; without those that are complete. */
  private readonly nextPages = new Map<ConversationFolder, string>();
  private readonly loading = new Map<string, Promise<void>>();

  constructor(
    protected readonly api: Api,
    readonly store: ConversationStore,
    protected readonly changed: () => void,
  ) {}

  /** Takes what Sync says of a conversation, whose cursor the request named or not. Returns whether it brought anything. */
  protected abstract apply(delta: Delta, named: boolean): boolean;

  /** The user is not in this conversation any more. */
  protected abstract drop(conversationId: string): void;

  /** True once the newest conversations are loaded, or those that this device kept. */
  get ready(): boolean {
    return this.listed || this.restored;
  }

  /** The service's token for how far this device is synchronised; empty before it is. */
  get syncToken(): string {
    return this.token;
  }

  /** The store has what this device kept of an earlier page: Sync goes on from there. */
  restore(syncToken: string): void {
    if (this.token || this.listed) return;
    this.token = syncToken;
    this.restored = true;
    this.changed();
  }

  /** Whether the service has older conversations or requests than are held: see `loadMore`. */
  get hasMore(): boolean {
    return this.nextPages.size > 0;
  }

  /** Brings the next page of the older conversations, and of the older requests. Rejects with a Failure. */
  async loadMore(): Promise<void> {
    for (const [folder, pageToken] of Array.from(this.nextPages)) await orFailure(this.list(folder, pageToken));
  }

  /** Brings all of the account's conversations and requests, each with its newest message. Rejects with a Failure. */
  async loadAll(): Promise<void> {
    while (this.hasMore) await this.loadMore();
  }

  /**
   * Fetches everything that this device lacks. Calls during a run lead to one more run after it.
   * Rejects when the service cannot be reached; what was fetched before that stays.
   */
  sync(): Promise<void> {
    if (this.syncing) {
      this.syncAgain = true;
      return this.syncing;
    }
    this.syncing = this.syncUntilCurrent().finally(() => {
      this.syncing = undefined;
    });
    return this.syncing;
  }

  private async syncUntilCurrent(): Promise<void> {
    do {
      this.syncAgain = false;
      try {
        if (!this.listed) {
          // Up to date before the list comes, which then adds what is not held.
          if (this.restored) await this.syncDeltas();
          for (const folder of FOLDERS) await this.list(folder, "");
          this.listed = true;
        }
        await this.syncDeltas();
      } catch (error) {
        if (readFailure(error).reason === "SYNC_TOKEN_UNKNOWN") this.beginAnew();
        throw error;
      }
    } while (this.syncAgain);
  }

  private beginAnew(): void {
    this.token = "";
    this.listed = false;
    this.restored = false;
    this.nextPages.clear();
    this.store.forgetAll();
  }

  /** Takes one page of the list. Of later pages, and beside what was kept, only what is new here: the stream and Sync keep the rest current. */
  private async list(folder: ConversationFolder, pageToken: string): Promise<void> {
    const asked = this.store.moment;
    const page = await this.api.messaging.listConversations({ pageSize: LIST_PAGE, pageToken, folder });
    // What changes from the first page on, Sync tells.
    this.token ||= page.syncToken;
    for (const { conversation, lastMessage, ownState } of page.conversations) {
      if (!conversation || ((pageToken || this.restored) && this.store.get(conversation.conversationId))) continue;
      const known = readConversation(conversation);
      const messages = lastMessage ? [readMessage(lastMessage)] : [];
      this.store.applyDelta({ conversation: known, messages, changed: [], revision: known.revision, own: ownState && readOwnState(ownState), asked });
    }
    if (page.nextPageToken) this.nextPages.set(folder, page.nextPageToken);
    else this.nextPages.delete(folder);
    this.changed();
  }

  private async syncDeltas(): Promise<void> {
    let more = true;
    while (more) {
      const named = this.store.cursors(MAX_SYNC_CURSORS);
      const cursors = named.map(({ conversationId, seq, revision }) => ({ conversationId, seq: BigInt(seq), revision: BigInt(revision) }));
      const asked = this.store.moment;
      const page = await this.api.messaging.sync({ cursors, limit: SYNC_LIMIT, syncToken: this.token });
      for (const id of page.goneConversationIds) this.drop(id);
      const ids = new Set(named.map(({ conversationId }) => conversationId));
      const moved = page.deltas.map(readDelta).map((delta) => delta !== undefined && this.apply({ ...delta, asked }, ids.has(delta.conversation.id)));
      // A page with nothing new would be returned again and again.
      const walked = page.syncToken !== this.token;
      more = (page.hasMore && (walked || moved.includes(true))) || (moved.includes(true) && page.deltas.some((delta) => delta.hasMore));
      this.token = page.syncToken;
      this.changed();
    }
  }

  /** Brings older messages, at least a page when the service has them. One request a conversation at a time. Rejects with a Failure. */
  async loadOlder(conversationId: string, pageSize = HISTORY_PAGE): Promise<void> {
    if (!this.store.get(conversationId)?.hasOlder) return;
    const running = this.loading.get(conversationId) ?? this.loadPage(conversationId, pageSize);
    this.loading.set(conversationId, running);
    await running;
  }

  private async loadPage(conversationId: string, pageSize: number): Promise<void> {
    try {
      const beforeSeq = BigInt(this.store.get(conversationId)?.messages[0]?.seq ?? 0);
      const page = await orFailure(this.api.messaging.listMessages({ conversationId, beforeSeq, pageSize }));
      this.store.applyHistory(conversationId, page.messages.map(readMessage));
    } finally {
      this.loading.delete(conversationId);
      this.changed();
    }
  }

  /** Brings history down to a message. Returns whether it is there. Rejects with a Failure. */
  async loadUntil(conversationId: string, seq: number): Promise<boolean> {
    const lowest = (): number => this.store.get(conversationId)?.messages[0]?.seq ?? Infinity;
    while (lowest() > seq && this.store.get(conversationId)?.hasOlder) {
      const before = lowest();
      await this.loadOlder(conversationId, LONG_HISTORY_PAGE);
      // The service has no more.
      if (lowest() === before) break;
    }
    return lowest() <= seq;
  }

  /** Has the newest messages again, in place of all that are held. */
  protected async reloadNewest(conversationId: string): Promise<void> {
    const page = await this.api.messaging.listMessages({ conversationId, pageSize: HISTORY_PAGE });
    this.store.replaceMessages(conversationId, page.messages.map(readMessage));
    this.changed();
  }
}
