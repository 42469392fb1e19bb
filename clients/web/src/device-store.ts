import type { Kept, KeptConversation, KeptPerson } from "./core/kept.js";
import type { Outgoing } from "./core/model.js";
import type { DeviceSecrets } from "./encryption/key-crypto.js";
import type { KeyNews, KnownAccount } from "./encryption/known-accounts.js";

/** This device's own keys, and what it remembers of others'. */
export interface KeptKeys {
  readonly own: DeviceSecrets;
  readonly others: { readonly accounts: readonly KnownAccount[]; readonly news: readonly KeyNews[] };
}

/** Why a store that was wiped rejects. */
export const WIPED = "the store was wiped";

/** What changed since the last time. */
export interface KeptChange {
  readonly put: readonly KeptConversation[];
  readonly remove: readonly string[];
  readonly syncToken: string;
  /** All of them. */
  readonly people: readonly KeptPerson[];
  /** `put` is all there is. */
  readonly whole: boolean;
}

/** How things are in the store when a window takes over. */
export interface Claim {
  readonly version: number;
  readonly unsent: readonly Outgoing[];
}

/**
 * What one user's device keeps over a reload, shared by the windows of a browser. Each method is one transaction, and
 * rejects when there is no room or no store.
 *
 * One window writes the conversations at a time: the last that claimed. Messages that wait to be sent are added and taken
 * away by any.
 */
export interface DeviceStore {
  /** Everything. What `tidy` changes is kept so from then on; what it makes undefined is kept no more. */
  load(tidy: (kept: KeptConversation) => KeptConversation | undefined): Promise<Kept>;
  /** From now on `writer` writes the conversations. */
  claim(writer: string): Promise<Claim>;
  /** Returns the store's new version; undefined, and nothing was written, when another window has claimed since. */
  save(writer: string, change: KeptChange): Promise<number | undefined>;
  putUnsent(outgoing: Outgoing): Promise<void>;
  removeUnsent(clientMessageId: string): Promise<void>;
  /** What encryption keeps (`encryption/account-memory.ts`); undefined before there is any. Keys are used and not read. */
  loadKeys<R extends keyof KeptKeys>(row: R): Promise<KeptKeys[R] | undefined>;
  /** Gives what is kept from then on: with `first`, what was kept before, if anything was. */
  saveKeys<R extends keyof KeptKeys>(row: R, value: KeptKeys[R], first?: boolean): Promise<KeptKeys[R]>;
  /** Forgets the conversations; what waits to be sent stays. */
  clearConversations(): Promise<void>;
  /** Forgets everything, and takes nothing any more: what would write rejects from now on. A new login has a new store. */
  wipe(): Promise<void>;
  /** Lets go of the store; the next call takes it up again. */
  close(): void;
}

/** A store that lasts as long as the page: for pages that shall leave nothing behind, and where there is no other. */
export class MemoryDeviceStore implements DeviceStore {
  private readonly conversations = new Map<string, KeptConversation>();
  private readonly unsent = new Map<string, Outgoing>();
  private syncToken = "";
  private people: readonly KeptPerson[] = [];
  private writer = "";
  private version = 0;
  private keys: Partial<KeptKeys> = {};
  private isWiped = false;

  async load(tidy: (kept: KeptConversation) => KeptConversation | undefined): Promise<Kept> {
    for (const [id, kept] of this.conversations) {
      const tidied = tidy(kept);
      if (tidied) this.conversations.set(id, tidied);
      else this.conversations.delete(id);
    }
    return { syncToken: this.syncToken, conversations: [...this.conversations.values()], people: this.people, unsent: inOrder([...this.unsent.values()]), version: this.version };
  }

  async claim(writer: string): Promise<Claim> {
    this.mustTake();
    this.writer = writer;
    return { version: this.version, unsent: inOrder([...this.unsent.values()]) };
  }

  async save(writer: string, { put, remove, syncToken, people, whole }: KeptChange): Promise<number | undefined> {
    this.mustTake();
    if (writer !== this.writer) return undefined;
    if (whole) this.conversations.clear();
    for (const id of remove) this.conversations.delete(id);
    for (const kept of put) this.conversations.set(kept.conversation.id, structuredClone(kept));
    this.syncToken = syncToken;
    this.people = people;
    return ++this.version;
  }

  async putUnsent(outgoing: Outgoing): Promise<void> {
    this.mustTake();
    this.unsent.set(outgoing.clientMessageId, structuredClone(outgoing));
  }

  async removeUnsent(clientMessageId: string): Promise<void> {
    this.unsent.delete(clientMessageId);
  }

  async loadKeys<R extends keyof KeptKeys>(row: R): Promise<KeptKeys[R] | undefined> {
    return this.keys[row];
  }

  async saveKeys<R extends keyof KeptKeys>(row: R, value: KeptKeys[R], first = false): Promise<KeptKeys[R]> {
    this.mustTake();
    const kept = (first && this.keys[row]) || value;
    this.keys = { ...this.keys, [row]: kept };
    return kept;
  }

  async clearConversations(): Promise<void> {
    this.conversations.clear();
    this.people = [];
    this.syncToken = "";
    this.version++;
  }

  async wipe(): Promise<void> {
    await this.clearConversations();
    this.unsent.clear();
    this.keys = {};
    this.isWiped = true;
  }

  close(): void {}

  private mustTake(): void {
    if (this.isWiped) throw new Error(WIPED);
  }
}

/** In the order of writing. */
export function inOrder(unsent: readonly Outgoing[]): Outgoing[] {
  return [...unsent].sort((a, b) => a.createTimeMs - b.createTimeMs);
}
