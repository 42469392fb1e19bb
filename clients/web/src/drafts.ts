import type { Api } from "./api.js";
import { asFailure, readFailure } from "./errors.js";
import type { Draft as WireDraft } from "./gen/parley/messaging/v1/messages_pb.js";
import { type KeyStorage, pageStorage } from "./page-storage.js";
import { millis } from "./wire.js";

/** A draft goes to the service when no key was pressed for so long. More loses more with a device that dies; fewer asks the service more often. */
const PAUSE_MS = 1_500;

/** In place of what the service has, where that is not known. Nobody writes this. */
const UNKNOWN = "\0";

/**
 * What was written and not sent, by conversation: in this browser at once, and on the user's other devices a moment later.
 * Whoever writes last wins; what is being written here is not overwritten.
 */
export class Drafts {
  private readonly timers = new Map<string, ReturnType<typeof setTimeout>>();
  private isWiped = false;
  private readonly pushing = new Map<string, Promise<void>>();
  /** Where somebody wrote on this page. */
  private readonly written = new Set<string>();
  /** What the service told of each conversation last. */
  private readonly told = new Map<string, { readonly revision: bigint; readonly expireMs: number | undefined }>();

  constructor(
    private readonly userId: string,
    private readonly storage: KeyStorage = pageStorage(),
    /** Without it they stay in this browser. */
    private readonly api?: Pick<Api, "messaging">,
    private readonly changed: () => void = () => undefined,
  ) {}

  get(conversationId: string): string {
    // What vanishes is over where nobody has written on.
    const { expireMs = Number.POSITIVE_INFINITY } = this.told.get(conversationId) ?? {};
    if (expireMs <= Date.now() && this.here(conversationId) === this.there(conversationId)) return "";
    return this.here(conversationId);
  }

  /** An empty text takes the draft away. A storage that is full loses the draft at the page's end, not before. */
  set(conversationId: string, text: string): void {
    this.written.add(conversationId);
    this.keep("draft", conversationId, text);
    if (this.isDirty(conversationId)) this.pushSoon(conversationId);
  }

  /** Takes what the service tells of one. */
  receive(draft: WireDraft): void {
    const { conversationId, revision, text } = draft;
    if (revision <= (this.told.get(conversationId)?.revision ?? -1n)) return;
    this.told.set(conversationId, { revision, expireMs: millis(draft.expireTime) });
    const dirty = this.isDirty(conversationId);
    this.keep("drafted", conversationId, text);
    if (dirty) return this.isDirty(conversationId) ? this.pushSoon(conversationId) : undefined;
    this.keep("draft", conversationId, text);
    this.changed();
  }

  /** Asks for all of them, and sends what the service does not have. A service that is older than this client has none. Rejects with a Failure. */
  async refresh(): Promise<void> {
    if (!this.api) return;
    const before = new Map(this.told);
    const listed = new Set<string>();
    try {
      let pageToken = "";
      do {
        const page = await this.api.messaging.listDrafts({ pageToken });
        for (const draft of page.drafts) {
          listed.add(draft.conversationId);
          this.receive(draft);
        }
        pageToken = page.nextPageToken;
      } while (pageToken);
    } catch (error) {
      const failure = readFailure(error);
      if (failure.code === "unimplemented") return;
      throw asFailure(error);
    }
    for (const id of new Set([...this.ids("draft"), ...this.ids("drafted"), ...this.written, ...before.keys()])) {
      // What the list lacks was taken away, unless it came while the list was on its way.
      if (!listed.has(id) && this.told.get(id) === before.get(id)) {
        const dirty = this.isDirty(id);
        this.keep("drafted", id, "");
        if (!dirty) this.keep("draft", id, "");
      }
      if (this.isDirty(id)) this.pushSoon(id);
    }
    this.changed();
  }

  /** Sends nothing more; what was not sent is when the client starts anew. */
  close(): void {
    for (const timer of this.timers.values()) clearTimeout(timer);
    this.timers.clear();
  }

  /** Takes all of this user's drafts away from this browser, and keeps none from now on. */
  wipe(): void {
    this.close();
    this.isWiped = true;
    for (const kind of ["draft", "drafted"] as const) for (const id of this.ids(kind)) this.storage.removeItem(this.key(kind, id));
  }

  private pushSoon(conversationId: string): void {
    if (!this.api || this.isWiped) return;
    // What was sent is taken away at once.
    const pauseMs = this.here(conversationId) ? PAUSE_MS : 0;
    clearTimeout(this.timers.get(conversationId));
    this.timers.set(
      conversationId,
      setTimeout(() => {
        this.timers.delete(conversationId);
        // One after the other, so that the last one arrives last.
        const after = (this.pushing.get(conversationId) ?? Promise.resolve()).then(() => this.push(conversationId));
        this.pushing.set(conversationId, after);
      }, pauseMs),
    );
  }

  private async push(conversationId: string): Promise<void> {
    const text = this.here(conversationId);
    if (!this.api || !this.isDirty(conversationId)) return;
    // From now on it is what the service has: what is changed, or sent, meanwhile differs from it.
    this.keep("drafted", conversationId, text);
    try {
      const { draft } = await this.api.messaging.setDraft({ conversationId, text });
      if (draft) this.receive(draft);
    } catch {
      // It may have arrived or not. The next change, or the next catch-up, tells the service again.
      this.keep("drafted", conversationId, UNKNOWN);
    }
  }

  /** As this browser has it. */
  private here(conversationId: string): string {
    return this.storage.getItem(this.key("draft", conversationId)) ?? "";
  }

  /** As the service has it, as far as this browser knows. */
  private there(conversationId: string): string {
    return this.storage.getItem(this.key("drafted", conversationId)) ?? "";
  }

  private isDirty(conversationId: string): boolean {
    return this.here(conversationId) !== this.there(conversationId);
  }

  private keep(kind: "draft" | "drafted", conversationId: string, text: string): void {
    // What the service answers late comes after the logout.
    if (this.isWiped) return;
    const key = this.key(kind, conversationId);
    if (!text.trim()) return this.storage.removeItem(key);
    try {
      this.storage.setItem(key, text);
    } catch {
      // The field still has it.
    }
  }

  private ids(kind: "draft" | "drafted"): string[] {
    const start = this.key(kind, "");
    // A dot in the rest: another user's, whose id begins as this one's.
    const keys = Object.keys(this.storage).filter((key) => key.startsWith(start) && !key.slice(start.length).includes("."));
    return keys.map((key) => key.slice(start.length));
  }

  private key(kind: "draft" | "drafted", conversationId: string): string {
    return `parley.${kind}.${this.userId}.${conversationId}`;
  }
}
