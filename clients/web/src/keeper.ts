import type { ConversationStore } from "./core/conversation-store.js";
import { completed, type KeptConversation, type KeptPerson, MAX_KEPT_CONVERSATIONS, MAX_KEPT_MESSAGES, waiting, withoutVanished } from "./core/kept.js";
import type { Outgoing } from "./core/model.js";
import type { StoredConversation } from "./core/stored-conversation.js";
import type { DeviceStore } from "./device-store.js";

/** So long changes are gathered. Raising it writes less; lowering it keeps more of what a crash would lose, which Sync brings again. */
const SAVE_DELAY_MS = 400;
/** A store that does not answer holds up the start no longer than this. Raising it waits for slow disks; lowering it starts empty on them. */
const PATIENCE_MS = 1500;

/** What sends, and knows how far this device is synchronised. */
export interface KeptMessaging {
  readonly syncToken: string;
  /** Goes on from what was kept. */
  restore(syncToken: string): void;
  /** Shows and sends what waited when the page was closed. */
  resume(outgoing: Outgoing): void;
  /** Takes one away that another window has sent or deleted. */
  withdraw(conversationId: string, clientMessageId: string): void;
}

/** Names and pictures of people: the same list until something changes. */
export interface KeptPeople {
  kept(): readonly KeptPerson[];
  restore(people: readonly KeptPerson[]): void;
}

/** What of a conversation was kept: these are replaced by others whenever they change. */
type Stamp = readonly [unknown, unknown, unknown, number, number];

const stampOf = ({ conversation, messages, own, revision, countedSeq }: StoredConversation): Stamp => [conversation, messages, own, revision, countedSeq];

/**
 * Keeps over a reload what this device knows: its newest conversations with their newest messages, and what waits to be sent.
 *
 * It only ever loses time: what a store does not hold comes by Sync. So a store that fails (private windows, no room) is used
 * no more, and everything goes on in memory.
 */
export class Keeper {
  private readonly saved = new Map<string, Stamp>();
  /** Messages that wait to be sent, as the store has them or is about to have them. */
  private readonly unsent = new Map<string, Outgoing>();
  /** Those that the store does have. */
  private readonly onDisk = new Set<string>();
  /** Those of conversations that are not here yet. */
  private homeless: Outgoing[] = [];
  private readonly writer = crypto.randomUUID();
  private isWriter = false;
  private isWhole = false;
  private isBroken = false;
  private savedToken = "";
  private savedPeople: readonly KeptPerson[] = [];
  private version = -1;
  private restoring: Promise<void> | undefined;
  private timer: ReturnType<typeof setTimeout> | undefined;
  /** One thing after the other: a message is never taken out before it was put in. */
  private last: Promise<void> = Promise.resolve();

  constructor(
    private readonly disk: DeviceStore,
    private readonly store: ConversationStore,
    private readonly messaging: KeptMessaging,
    private readonly people: KeptPeople,
    private readonly changed: () => void,
  ) {}

  /** Brings back what was kept, once. Never rejects, and does not wait for ever. */
  restore(): Promise<void> {
    this.restoring ??= this.load();
    return this.restoring;
  }

  /** This device's stream is the live one: this window writes from now on. */
  claim(): void {
    this.do(async () => {
      const { version, unsent } = await this.disk.claim(this.writer);
      this.isWriter = true;
      if (version !== this.version) {
        // Another window has written since: what it left may be older than what is here, or gone from here.
        this.saved.clear();
        this.isWhole = true;
      }
      this.reconcile(unsent);
      this.schedule();
    });
  }

  /** Call after changes. */
  update(): void {
    if (this.isBroken || !this.restoring) return;
    this.settleHomeless();
    this.keepUnsent();
    this.schedule();
  }

  /** Writes what has not been written yet, and lets go of the store. */
  async close(): Promise<void> {
    clearTimeout(this.timer);
    this.timer = undefined;
    if (this.isWriter) this.do(() => this.save());
    await this.last;
    this.isWriter = false;
    this.disk.close();
  }

  /** Forgets everything, and keeps nothing from now on. */
  async wipe(): Promise<void> {
    this.isBroken = true;
    clearTimeout(this.timer);
    await inTime(this.last);
    await inTime(this.disk.wipe());
  }

  private async load(): Promise<void> {
    const kept = await inTime(this.disk.load((row) => withoutVanished(row, Date.now())));
    if (!kept || this.isBroken) {
      this.isBroken = true;
      return;
    }
    this.version = kept.version;
    this.savedToken = kept.syncToken;
    this.people.restore(kept.people);
    this.savedPeople = this.people.kept();
    // Without a token nothing tells what has changed since: the list begins anew.
    if (kept.syncToken) {
      for (const conversation of kept.conversations) this.bringBack(conversation);
      this.messaging.restore(kept.syncToken);
    }
    this.takeUp(kept.unsent);
    this.changed();
  }

  private bringBack(kept: KeptConversation): void {
    if (!isReadable(kept)) return;
    const row = completed(kept);
    const entry = this.store.restore(row);
    // One that was opened meanwhile is another than the kept one.
    if (entry?.conversation === row.conversation) this.saved.set(row.conversation.id, stampOf(entry));
  }

  /** Those of the store that this window does not know: of an earlier page, or of another window. */
  private takeUp(held: readonly Outgoing[]): void {
    const here = new Set(this.store.outgoing().map(({ clientMessageId }) => clientMessageId));
    for (const outgoing of held) {
      const { clientMessageId } = outgoing;
      // One that was on the disk and is not here was sent or deleted here; its removal is under way.
      if (this.onDisk.has(clientMessageId) || here.has(clientMessageId)) continue;
      this.unsent.set(clientMessageId, outgoing);
      this.onDisk.add(clientMessageId);
      this.homeless.push(waiting(outgoing));
    }
    this.settleHomeless();
  }

  private settleHomeless(): void {
    const home = this.homeless.filter(({ conversationId }) => this.store.get(conversationId));
    if (home.length === 0) return;
    this.homeless = this.homeless.filter((outgoing) => !home.includes(outgoing));
    for (const outgoing of home) this.messaging.resume(outgoing);
  }

  /** Another window has sent or deleted some, and written others. */
  private reconcile(held: readonly Outgoing[]): void {
    const ids = new Set(held.map(({ clientMessageId }) => clientMessageId));
    for (const clientMessageId of [...this.onDisk].filter((id) => !ids.has(id))) {
      const outgoing = this.unsent.get(clientMessageId);
      this.onDisk.delete(clientMessageId);
      this.unsent.delete(clientMessageId);
      this.homeless = this.homeless.filter((other) => other.clientMessageId !== clientMessageId);
      if (outgoing) this.messaging.withdraw(outgoing.conversationId, clientMessageId);
    }
    this.takeUp(held);
    this.changed();
  }

  private keepUnsent(): void {
    const now = new Map([...this.store.outgoing(), ...this.homeless].map((outgoing) => [outgoing.clientMessageId, outgoing]));
    for (const [id, outgoing] of now) {
      if (this.unsent.get(id) === outgoing) continue;
      this.unsent.set(id, outgoing);
      this.do(async () => {
        await this.disk.putUnsent(outgoing);
        this.onDisk.add(id);
      });
    }
    for (const id of this.unsent.keys()) {
      if (now.has(id)) continue;
      this.unsent.delete(id);
      this.do(async () => {
        await this.disk.removeUnsent(id);
        this.onDisk.delete(id);
      });
    }
  }

  private schedule(): void {
    if (!this.isWriter || this.isBroken) return;
    this.timer ??= setTimeout(() => {
      this.timer = undefined;
      this.do(() => this.save());
    }, SAVE_DELAY_MS);
  }

  private async save(): Promise<void> {
    const { syncToken } = this.messaging;
    // Before the first list is there, what was kept before is worth more.
    if (!this.isWriter || !syncToken) return;
    const entries = this.store.stored(MAX_KEPT_CONVERSATIONS);
    const people = this.people.kept();
    const ids = new Set(entries.map((entry) => entry.conversation.id));
    const moved = entries.filter((entry) => !isSame(this.saved.get(entry.conversation.id), stampOf(entry)));
    const remove = [...this.saved.keys()].filter((id) => !ids.has(id));
    if (moved.length === 0 && remove.length === 0 && syncToken === this.savedToken && people === this.savedPeople && !this.isWhole) return;
    const stamps = moved.map((entry) => [entry.conversation.id, stampOf(entry)] as const);
    const put = moved.map((entry) => this.store.keep(entry, MAX_KEPT_MESSAGES));
    const version = await this.disk.save(this.writer, { put, remove, syncToken, people, whole: this.isWhole });
    if (version === undefined) {
      // Another window is the live one; it knows more.
      this.isWriter = false;
      return;
    }
    this.version = version;
    this.isWhole = false;
    this.savedToken = syncToken;
    this.savedPeople = people;
    for (const id of remove) this.saved.delete(id);
    for (const [id, stamp] of stamps) this.saved.set(id, stamp);
  }

  private do(work: () => Promise<void>): void {
    this.last = this.last.then(async () => {
      if (this.isBroken) return;
      try {
        await work();
      } catch {
        await this.giveUp();
      }
    });
  }

  /** No room, or no store any more. What is held there must not grow old: it would come back at the next start. */
  private async giveUp(): Promise<void> {
    this.isBroken = true;
    await this.disk.clearConversations().catch(() => undefined);
  }
}

/** What a store answers; undefined when it fails, or does not answer. */
async function inTime<T>(answer: Promise<T>): Promise<T | undefined> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<undefined>((resolve) => {
    timer = setTimeout(resolve, PATIENCE_MS, undefined);
  });
  const result = await Promise.race([answer.catch(() => undefined), late]);
  clearTimeout(timer);
  return result;
}

function isSame(a: Stamp | undefined, b: Stamp): boolean {
  return a !== undefined && a.every((part, i) => part === b[i]);
}

/** What another program has put into this browser's store is no conversation. */
function isReadable({ conversation, messages, own }: Partial<KeptConversation>): boolean {
  return typeof conversation?.id === "string" && Array.isArray(conversation.members) && Array.isArray(messages) && own !== undefined;
}
