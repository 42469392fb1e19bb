import { ActivityOrder } from "./activity-order.js";
import { activityMs, advanceRevision, replaceCopies, type CursorMove, type StoredConversation, mergeCursors } from "./stored-conversation.js";
import type { KeptConversation } from "./kept.js";
import type { Conversation, Member, Message, Outgoing, OwnState } from "./model.js";
import { DEFAULT_OWN_STATE } from "./own-state.js";
import { withoutPinOf } from "./pins.js";
import { countsAsUnread } from "./receipts.js";
import { nextExpiryMs, withoutExpired } from "./vanishing.js";

/**
 * What became of something that arrived on the stream. `gap` and `stranger` mean: call Sync. After a gap in seq the
 * message is not shown yet; after one in revision the change is, but others before it are missing.
 */
export type ApplyResult = "added" | "known" | "gap" | "unknown" | "left";

export interface ConversationView {
  readonly conversation: Conversation;
  /** Ascending by seq, without gaps among themselves. */
  readonly messages: readonly Message[];
  /** In the order of writing; shown after all messages. */
  readonly outgoing: readonly Outgoing[];
  readonly hasOlder: boolean;
  readonly own: OwnState;
  /** The service's count, and what came since. */
  readonly unread: number;
}

/** What Sync returns for one conversation. */
export interface Delta {
  readonly conversation: Conversation;
  /** New ones: ascending, gapless. */
  readonly messages: readonly Message[];
  /** Ones that this device has, or had left above: changed since. */
  readonly changed: readonly Message[];
  /** Up to where this device then has all changes. */
  readonly revision: number;
  /** As it was with the conversation; undefined leaves what is known. */
  readonly own?: OwnState | undefined;
  /** The store's `moment` when it was asked for. */
  readonly asked?: number;
}

export interface Cursor {
  readonly conversationId: string;
  readonly seq: number;
  readonly revision: number;
}

/** What was worked out of all conversations, until one of them changes. */
interface Found {
  list?: readonly ConversationView[];
  peers?: readonly string[];
  outgoing?: readonly Outgoing[];
  nextExpiryMs?: number | undefined;
}

/**
 * Conversations as one device knows them.
 *
 * Of each conversation it holds one unbroken range of messages; everything that would tear the range is refused
 * (`gap`) and left to Sync, so what is shown never lacks a message in its middle. Changes are counted by the
 * conversation's revision; one that skips a number is a gap too. All methods are idempotent: the same event, page or
 * delta applied twice changes nothing. What has not changed is the same object when it is read again: a list, and each
 * view in it.
 */
export class ConversationStore {
  private readonly entries = new Map<string, StoredConversation>();
  /** Conversations that this user is out of, and the revision at which that was known: older news is void. */
  private readonly left = new Map<string, number>();
  private readonly order = new ActivityOrder<StoredConversation>();
  /** Grows with every own state that is told. */
  moment = 0;
  private readonly views = new WeakMap<StoredConversation, ConversationView>();
  private found: Found = {};
  /** When own states were told last, as a count of all: what was asked for before may be of before. */
  private readonly toldAt = new Map<string, number>();

  constructor(private readonly selfId: string) {}

  /** Takes a conversation from the event stream or from an answer. One that this user is not in (any more) is forgotten. */
  applyConversation(next: Conversation): ApplyResult {
    if (next.revision <= (this.left.get(next.id) ?? -1)) return "known";
    const entry = this.entries.get(next.id);
    if (!next.members.some((m) => m.userId === this.selfId)) {
      // Older than what Sync told meanwhile: this user has come back since.
      return entry && next.revision < entry.conversation.revision ? "known" : this.leave(next);
    }
    if (!entry) {
      this.left.delete(next.id);
      const added = { conversation: next, messages: [], outgoing: [], revision: next.revision, own: DEFAULT_OWN_STATE, countedSeq: 0 };
      this.entries.set(next.id, added);
      this.touch(added);
      return "added";
    }
    this.replace(entry, next);
    this.touch(entry);
    return advanceRevision(entry, next.revision) ? "known" : "gap";
  }

  /** Takes one message from the event stream, new or changed, or one's own that the server acknowledged. */
  applyMessage(message: Message): ApplyResult {
    const entry = this.entries.get(message.conversationId);
    if (!entry) return "unknown";
    const high = this.highSeq(entry);
    if (message.seq > high + 1) return "gap";
    this.settle(entry, message);
    const isNew = message.seq === high + 1;
    if (isNew) this.append(entry, [message]);
    else replaceCopies(entry, [message]);
    entry.conversation = withoutPinOf(entry.conversation, message);
    this.touch(entry);
    if (!advanceRevision(entry, message.revision)) return "gap";
    return isNew ? "added" : "known";
  }

  /**
   * Takes what Sync returned. A delta that starts beyond what is held replaces it (the server sends the newest page
   * only, when the device knew nothing). Returns whether the device has more than before.
   */
  applyDelta({ conversation, messages, changed, revision, own, asked = Infinity }: Delta): boolean {
    this.applyConversation(conversation);
    const entry = this.entries.get(conversation.id);
    if (!entry) return false;
    const before = [this.highSeq(entry), entry.revision];
    const first = messages[0];
    if (first && first.seq > this.highSeq(entry) + 1) entry.messages = [];
    for (const message of messages) this.settle(entry, message);
    const high = entry.messages.at(-1)?.seq ?? (first ? first.seq - 1 : 0);
    this.append(entry, messages.filter((m) => m.seq > high));
    replaceCopies(entry, [...messages, ...changed]);
    entry.revision = Math.max(entry.revision, revision);
    if (own && (this.toldAt.get(conversation.id) ?? 0) <= asked) this.setOwnState(entry, own, conversation.lastSeq);
    this.touch(entry);
    return before[0] !== this.highSeq(entry) || before[1] !== entry.revision;
  }

  /**
   * Takes what Sync returned of a conversation whose cursor it was not told: its newest messages. Where changes of older
   * ones may be missing, these go, and come back with history.
   */
  applyNewest(delta: Delta): boolean {
    const entry = this.entries.get(delta.conversation.id);
    if (entry && delta.conversation.revision > entry.revision) entry.messages = [];
    return this.applyDelta(delta);
  }

  /** Takes a page of history: older messages, in any order. Those that do not touch the held range are ignored. */
  applyHistory(conversationId: string, page: readonly Message[]): void {
    const entry = this.entries.get(conversationId);
    if (!entry) return;
    for (const message of [...page].sort((a, b) => b.seq - a.seq)) {
      const low = entry.messages[0]?.seq;
      if (low === undefined || message.seq === low - 1) entry.messages = [message, ...entry.messages];
    }
    this.append(entry, []);
    this.touch(entry);
  }

  /** Moves a member's cursors forward. Returns false when they stood there already, or the member is not known. */
  applyCursors(conversationId: string, userId: string, move: CursorMove): boolean {
    const entry = this.entries.get(conversationId);
    const member = entry?.conversation.members.find((m) => m.userId === userId);
    if (!entry || !member) return false;
    const next = mergeCursors(member, move);
    if (next.readSeq === member.readSeq && next.deliveredSeq === member.deliveredSeq) return false;
    const members = entry.conversation.members.map((m) => (m.userId === userId ? next : m));
    entry.conversation = { ...entry.conversation, members };
    this.touch(entry);
    return true;
  }

  /** Takes what one of the user's devices changed, as the service tells it. */
  applyOwnState(conversationId: string, own: OwnState): ApplyResult {
    const entry = this.entries.get(conversationId);
    // Sync tells it then.
    if (!entry) return "unknown";
    this.toldAt.set(conversationId, ++this.moment);
    this.setOwnState(entry, own, this.highSeq(entry));
    this.touch(entry);
    return "known";
  }

  /** This device has seen up to `readSeq`. Returns false when the service has nothing to learn from it. */
  applyOwnRead(conversationId: string, readSeq: number): boolean {
    const entry = this.entries.get(conversationId);
    if (!entry || (entry.own.readSeq >= readSeq && !entry.own.markedUnread)) return false;
    const own = { ...entry.own, readSeq: Math.max(entry.own.readSeq, readSeq), markedUnread: false };
    const unseen = entry.messages.filter((m) => m.seq > own.readSeq && countsAsUnread(m, this.selfId)).length;
    entry.own = { ...own, unreadCount: unseen };
    entry.countedSeq = this.highSeq(entry);
    this.touch(entry);
    return true;
  }

  /** Takes the content of messages whose time is over at `nowMs` away. Returns whether there were any. */
  expire(nowMs: number): boolean {
    const dueMs = this.nextExpiryMs();
    if (dueMs === undefined || dueMs > nowMs) return false;
    for (const entry of this.entries.values()) {
      const left = withoutExpired(entry.messages, nowMs);
      if (left === entry.messages) continue;
      entry.messages = left;
      this.touch(entry);
    }
    return true;
  }

  /** When the next message vanishes; undefined when none does. */
  nextExpiryMs(): number | undefined {
    if (!("nextExpiryMs" in this.found)) this.found.nextExpiryMs = nextExpiryMs([...this.entries.values()].flatMap((entry) => entry.messages));
    return this.found.nextExpiryMs;
  }

  /** Drops a conversation that this user is no longer in. Returns false when it is not held. */
  forget(conversationId: string): boolean {
    const entry = this.entries.get(conversationId);
    if (!entry) return false;
    this.left.set(conversationId, entry.conversation.revision);
    this.remove(entry);
    return true;
  }

  /** Takes the newest page in place of all that is held; what is missing between comes by Sync. */
  replaceMessages(conversationId: string, page: readonly Message[]): void {
    const entry = this.entries.get(conversationId);
    if (entry) entry.messages = [];
    this.applyHistory(conversationId, page);
  }

  /** Drops everything except messages that wait to be sent. */
  forgetAll(): void {
    for (const entry of this.entries.values()) {
      if (entry.outgoing.length === 0) this.remove(entry);
      else {
        Object.assign(entry, { messages: [], revision: 0 });
        this.touch(entry);
      }
    }
    this.left.clear();
  }

  /** The most recently active conversations, as they are held. */
  stored(limit: number): readonly StoredConversation[] {
    return this.order.items().slice(0, limit);
  }

  /** What of a conversation is worth keeping over a reload: its newest messages, and the count of what is unread above and below. */
  keep(entry: StoredConversation, limit: number): KeptConversation {
    const { conversation, messages, own, countedSeq, revision } = entry;
    if (messages.length <= limit) return { conversation, messages, own, countedSeq, revision };
    const counted = { ...own, unreadCount: this.unread(entry, messages[0]?.seq ?? 0) };
    return { conversation, messages: messages.slice(-limit), own: counted, countedSeq: this.highSeq(entry), revision };
  }

  /** Takes what was kept. Of a conversation that is held already only what lacks there. Returns what is held then; undefined when it is not taken. */
  restore(kept: KeptConversation): StoredConversation | undefined {
    const { conversation, ...rest } = kept;
    const entry = this.entries.get(conversation.id);
    if (this.left.has(conversation.id) || !conversation.members.some((m) => m.userId === this.selfId)) return undefined;
    if (entry && entry.messages.length > 0) return undefined;
    const restored: StoredConversation = { outgoing: [], ...entry, conversation, ...rest };
    if (entry) this.remove(entry);
    this.entries.set(conversation.id, restored);
    // It may have been opened meanwhile, and then be newer; what its revisions changed comes by Sync.
    if (entry) this.replace(restored, entry.conversation);
    this.touch(restored);
    return restored;
  }

  addOutgoing(outgoing: Outgoing): void {
    this.setOutgoing(outgoing.conversationId, (waiting) => [...waiting, outgoing]);
  }

  /** Replaces an unacknowledged message's state. Unknown ids are ignored: the message was acknowledged meanwhile. */
  updateOutgoing(conversationId: string, clientMessageId: string, next: Partial<Outgoing>): void {
    this.setOutgoing(conversationId, (waiting) => waiting.map((o) => (o.clientMessageId === clientMessageId ? { ...o, ...next } : o)));
  }

  removeOutgoing(conversationId: string, clientMessageId: string): void {
    this.setOutgoing(conversationId, (waiting) => waiting.filter((o) => o.clientMessageId !== clientMessageId));
  }

  outgoing(): readonly Outgoing[] {
    return (this.found.outgoing ??= [...this.entries.values()].flatMap((entry) => entry.outgoing));
  }

  /**
   * For Sync: up to where this device has everything, most recently active first. Conversations of which nothing is
   * held, and those beyond the limit, are left out: Sync answers with their newest page rather than their first.
   */
  cursors(limit = 1000): Cursor[] {
    return this.order
      .items()
      .filter((entry) => entry.messages.length > 0)
      .slice(0, limit)
      .map((entry) => ({ conversationId: entry.conversation.id, seq: this.highSeq(entry), revision: entry.revision }));
  }

  /** All other members of accepted conversations, the most recently active conversations first. */
  peers(): readonly string[] {
    return (this.found.peers ??= this.findPeers());
  }

  private findPeers(): string[] {
    const known = this.order.items().filter((entry) => entry.own.request === "none");
    const ids = known.flatMap((entry) => entry.conversation.members.map((m) => m.userId));
    return [...new Set(ids)].filter((id) => id !== this.selfId);
  }

  get(conversationId: string): ConversationView | undefined {
    const entry = this.entries.get(conversationId);
    return entry && this.view(entry);
  }

  /** The id of the conversation with one person, if it is held. */
  directWith(userId: string): string | undefined {
    const isWith = ({ conversation }: StoredConversation): boolean => conversation.kind === "direct" && conversation.members.some((m) => m.userId === userId);
    return userId === this.selfId ? undefined : this.order.items().find(isWith)?.conversation.id;
  }

  /** The pinned ones first, each part with the newest activity first. */
  list(): readonly ConversationView[] {
    return (this.found.list ??= this.findList());
  }

  private findList(): ConversationView[] {
    const views = this.order.items().map((entry) => this.view(entry));
    return [...views.filter((view) => view.own.pinned), ...views.filter((view) => !view.own.pinned)];
  }

  private view(entry: StoredConversation): ConversationView {
    const known = this.views.get(entry);
    if (known) return known;
    const low = entry.messages[0]?.seq ?? entry.conversation.lastSeq + 1;
    const { conversation, messages, outgoing, own } = entry;
    const view = { conversation, messages, outgoing, own, hasOlder: low > this.floor(entry) + 1, unread: this.unread(entry, low) };
    this.views.set(entry, view);
    return view;
  }

  /** It has changed: it is read anew, and stands where its activity belongs. */
  private touch(entry: StoredConversation): void {
    this.order.put(entry, activityMs(entry));
    this.views.delete(entry);
    this.found = {};
  }

  private remove(entry: StoredConversation): void {
    this.entries.delete(entry.conversation.id);
    this.order.delete(entry);
    this.found = {};
  }

  private setOutgoing(conversationId: string, next: (waiting: Outgoing[]) => Outgoing[]): void {
    const entry = this.entries.get(conversationId);
    if (!entry) return;
    entry.outgoing = next(entry.outgoing);
    this.touch(entry);
  }

  private unread(entry: StoredConversation, low: number): number {
    const { own } = entry;
    const readSeq = Math.max(own.readSeq, this.floor(entry));
    const whole = low <= readSeq + 1;
    const from = whole ? readSeq : Math.max(entry.countedSeq, readSeq);
    const held = entry.messages.filter((m) => m.seq > from && countsAsUnread(m, this.selfId)).length;
    return whole ? held : own.unreadCount + held;
  }

  private setOwnState(entry: StoredConversation, own: OwnState, countedSeq: number): void {
    // What this device has read and the service has not heard of yet stays read.
    entry.own = own.readSeq < entry.own.readSeq ? { ...own, readSeq: entry.own.readSeq, unreadCount: entry.own.unreadCount } : own;
    if (entry.own === own) entry.countedSeq = countedSeq;
  }

  private self(entry: StoredConversation): Member | undefined {
    return entry.conversation.members.find((m) => m.userId === this.selfId);
  }

  /** What this user may see begins above it: one's joining, or what the retention policy left. */
  private floor(entry: StoredConversation): number {
    return Math.max(this.self(entry)?.visibleAfterSeq ?? 0, entry.conversation.historyStartSeq);
  }

  private highSeq(entry: StoredConversation): number {
    return entry.messages.at(-1)?.seq ?? this.floor(entry);
  }

  private leave(next: Conversation): ApplyResult {
    this.left.set(next.id, next.revision);
    const entry = this.entries.get(next.id);
    if (entry) this.remove(entry);
    return "left";
  }

  /** The newer of the two; the members' cursors are counted apart and only move forward. */
  private replace(entry: StoredConversation, next: Conversation): void {
    const [older, newer] = next.revision < entry.conversation.revision ? [next, entry.conversation] : [entry.conversation, next];
    const before = new Map(older.members.map((m) => [m.userId, m]));
    const members = newer.members.map((m) => mergeCursors(m, before.get(m.userId)));
    const historyStartSeq = Math.max(older.historyStartSeq, newer.historyStartSeq);
    entry.conversation = { ...newer, members, historyStartSeq, lastSeq: Math.max(older.lastSeq, newer.lastSeq) };
    // A member who left and came back does not see older messages; and the retention policy may have removed some.
    const low = this.floor(entry);
    if ((entry.messages[0]?.seq ?? low + 1) <= low) entry.messages = entry.messages.filter((m) => m.seq > low);
  }

  private settle(entry: StoredConversation, message: Message): void {
    if (message.senderId !== this.selfId) return;
    entry.outgoing = entry.outgoing.filter((o) => o.clientMessageId !== message.clientMessageId);
  }

  private append(entry: StoredConversation, messages: readonly Message[]): void {
    // A new array, so that a list which compares by identity is drawn again.
    entry.messages = [...entry.messages, ...messages];
    const lastSeq = Math.max(entry.conversation.lastSeq, this.highSeq(entry));
    entry.conversation = { ...entry.conversation, lastSeq };
  }
}
