import type { Conversation, Member, Message, Outgoing } from "./model";

/**
 * What became of something that arrived on the stream. `gap` and `stranger` mean: call Sync. After a gap in seq the
 * message is not shown yet; after one in revision the change is, but others before it are missing.
 */
export type Arrival = "added" | "known" | "gap" | "stranger" | "left";

export interface ConversationView {
  readonly conversation: Conversation;
  /** Ascending by seq, without gaps among themselves. */
  readonly messages: readonly Message[];
  /** In the order of writing; they stand after all messages. */
  readonly outgoing: readonly Outgoing[];
  readonly hasOlder: boolean;
  readonly unread: number;
}

/** What Sync brings of one conversation. */
export interface Delta {
  readonly conversation: Conversation;
  /** New ones: ascending, gapless. */
  readonly messages: readonly Message[];
  /** Ones that this device has, or had left above: changed since. */
  readonly changed: readonly Message[];
  /** Up to where this device then has all changes. */
  readonly revision: number;
}

interface Entry {
  conversation: Conversation;
  messages: Message[];
  outgoing: Outgoing[];
  /** All changes up to this one are in. The conversation itself may be newer, since answers bring it out of turn. */
  revision: number;
}

export interface Cursor {
  readonly conversationId: string;
  readonly seq: number;
  readonly revision: number;
}

/**
 * Conversations as one device knows them.
 *
 * Of each conversation it holds one unbroken range of messages; everything that would tear the range is refused
 * (`gap`) and left to Sync, so what is shown never lacks a message in its middle. Changes are counted by the
 * conversation's revision; one that skips a number is a gap too. All methods are idempotent: the same event, page or
 * delta applied twice changes nothing.
 */
export class ConversationStore {
  private readonly entries = new Map<string, Entry>();
  /** Conversations that this user is out of, and the revision at which that was known: older news is void. */
  private readonly left = new Map<string, number>();

  constructor(private readonly selfId: string) {}

  /** Takes a conversation from the event stream or from an answer. One that this user is not in (any more) is forgotten. */
  applyConversation(next: Conversation): Arrival {
    if (next.revision <= (this.left.get(next.id) ?? -1)) return "known";
    if (!next.members.some((m) => m.userId === this.selfId)) return this.leave(next);
    const entry = this.entries.get(next.id);
    if (!entry) {
      this.left.delete(next.id);
      this.entries.set(next.id, { conversation: next, messages: [], outgoing: [], revision: next.revision });
      return "added";
    }
    this.replace(entry, next);
    return advance(entry, next.revision) ? "known" : "gap";
  }

  /** Takes one message from the event stream, new or changed, or one's own that the server acknowledged. */
  applyMessage(message: Message): Arrival {
    const entry = this.entries.get(message.conversationId);
    if (!entry) return "stranger";
    const high = this.highSeq(entry);
    if (message.seq > high + 1) return "gap";
    this.settle(entry, message);
    const isNew = message.seq === high + 1;
    if (isNew) this.append(entry, [message]);
    else change(entry, [message]);
    if (!advance(entry, message.revision)) return "gap";
    return isNew ? "added" : "known";
  }

  /**
   * Takes what Sync returned. A delta that starts beyond what is held replaces it (the server sends the newest page
   * only, when the device knew nothing). Returns whether the device has more than before.
   */
  applyDelta({ conversation, messages, changed, revision }: Delta): boolean {
    this.applyConversation(conversation);
    const entry = this.entries.get(conversation.id);
    if (!entry) return false;
    const before = [this.highSeq(entry), entry.revision];
    const first = messages[0];
    if (first && first.seq > this.highSeq(entry) + 1) entry.messages = [];
    for (const message of messages) this.settle(entry, message);
    const high = entry.messages.at(-1)?.seq ?? (first ? first.seq - 1 : 0);
    this.append(entry, messages.filter((m) => m.seq > high));
    change(entry, [...messages, ...changed]);
    entry.revision = Math.max(entry.revision, revision);
    return before[0] !== this.highSeq(entry) || before[1] !== entry.revision;
  }

  /** Takes a page of history: older messages, in any order. Those that do not touch the held range are ignored. */
  applyHistory(conversationId: string, page: readonly Message[]): void {
    const entry = this.entries.get(conversationId);
    if (!entry) return;
    for (const message of [...page].sort((a, b) => b.seq - a.seq)) {
      const low = entry.messages[0]?.seq;
      if (low === undefined ? entry.messages.length === 0 : message.seq === low - 1) entry.messages.unshift(message);
    }
    this.append(entry, []);
  }

  /** Moves a member's read cursor forward. Returns false when it stood there already, or is not known. */
  applyRead(conversationId: string, userId: string, readSeq: number): boolean {
    const entry = this.entries.get(conversationId);
    const member = entry?.conversation.members.find((m) => m.userId === userId);
    if (!entry || !member || member.readSeq >= readSeq) return false;
    const members = entry.conversation.members.map((m) => (m.userId === userId ? { ...m, readSeq } : m));
    entry.conversation = { ...entry.conversation, members };
    return true;
  }

  /** Drops a conversation that this user is no longer in. Returns false when it is not held. */
  forget(conversationId: string): boolean {
    const entry = this.entries.get(conversationId);
    if (!entry) return false;
    this.left.set(conversationId, entry.conversation.revision);
    return this.entries.delete(conversationId);
  }

  addOutgoing(outgoing: Outgoing): void {
    this.entries.get(outgoing.conversationId)?.outgoing.push(outgoing);
  }

  /** Replaces an unacknowledged message's state. Unknown ids are ignored: the message was acknowledged meanwhile. */
  updateOutgoing(conversationId: string, clientMessageId: string, next: Partial<Outgoing>): void {
    const entry = this.entries.get(conversationId);
    if (!entry) return;
    entry.outgoing = entry.outgoing.map((o) => (o.clientMessageId === clientMessageId ? { ...o, ...next } : o));
  }

  removeOutgoing(conversationId: string, clientMessageId: string): void {
    const entry = this.entries.get(conversationId);
    if (entry) entry.outgoing = entry.outgoing.filter((o) => o.clientMessageId !== clientMessageId);
  }

  outgoing(): readonly Outgoing[] {
    return [...this.entries.values()].flatMap((entry) => entry.outgoing);
  }

  /**
   * For Sync: up to where this device has everything, most recently active first. Conversations of which nothing is
   * held are left out, so that Sync answers with their newest page rather than their first.
   */
  cursors(limit = 1000): Cursor[] {
    return this.sorted()
      .filter((entry) => entry.messages.length > 0)
      .slice(0, limit)
      .map((entry) => ({ conversationId: entry.conversation.id, seq: this.highSeq(entry), revision: entry.revision }));
  }

  /** All other people in any conversation. */
  peers(): string[] {
    const ids = [...this.entries.values()].flatMap((entry) => entry.conversation.members.map((m) => m.userId));
    return [...new Set(ids)].filter((id) => id !== this.selfId);
  }

  get(conversationId: string): ConversationView | undefined {
    const entry = this.entries.get(conversationId);
    return entry && this.view(entry);
  }

  /** Newest activity first. */
  list(): ConversationView[] {
    return this.sorted().map((entry) => this.view(entry));
  }

  private sorted(): Entry[] {
    return [...this.entries.values()].sort((a, b) => activityMs(b) - activityMs(a));
  }

  private view(entry: Entry): ConversationView {
    const low = entry.messages[0]?.seq ?? entry.conversation.lastSeq + 1;
    return {
      conversation: entry.conversation,
      messages: entry.messages,
      outgoing: entry.outgoing,
      hasOlder: low > this.visibleAfter(entry) + 1,
      unread: this.unread(entry, low),
    };
  }

  private unread(entry: Entry, low: number): number {
    const readSeq = Math.max(this.self(entry)?.readSeq ?? 0, this.visibleAfter(entry));
    // Whoever wrote last has seen what stands above; this also spares a guess about messages that are not loaded.
    if (entry.messages.at(-1)?.senderId === this.selfId) return 0;
    const held = entry.messages.filter((m) => m.seq > readSeq && m.senderId !== this.selfId).length;
    return held + Math.max(0, low - 1 - readSeq);
  }

  private self(entry: Entry): Member | undefined {
    return entry.conversation.members.find((m) => m.userId === this.selfId);
  }

  private visibleAfter(entry: Entry): number {
    return this.self(entry)?.visibleAfterSeq ?? 0;
  }

  private highSeq(entry: Entry): number {
    return entry.messages.at(-1)?.seq ?? this.visibleAfter(entry);
  }

  private leave(next: Conversation): Arrival {
    this.left.set(next.id, next.revision);
    this.entries.delete(next.id);
    return "left";
  }

  /** The newer of the two; read cursors are counted apart and only move forward. */
  private replace(entry: Entry, next: Conversation): void {
    const [older, newer] = next.revision < entry.conversation.revision ? [next, entry.conversation] : [entry.conversation, next];
    const reads = new Map(older.members.map((m) => [m.userId, m.readSeq]));
    const members = newer.members.map((m) => ({ ...m, readSeq: Math.max(m.readSeq, reads.get(m.userId) ?? 0) }));
    entry.conversation = { ...newer, members, lastSeq: Math.max(older.lastSeq, newer.lastSeq) };
    // Whoever was out for a while does not see what was said meanwhile, nor what was before.
    const low = this.visibleAfter(entry);
    if ((entry.messages[0]?.seq ?? low + 1) <= low) entry.messages = entry.messages.filter((m) => m.seq > low);
  }

  private settle(entry: Entry, message: Message): void {
    if (message.senderId !== this.selfId) return;
    entry.outgoing = entry.outgoing.filter((o) => o.clientMessageId !== message.clientMessageId);
  }

  private append(entry: Entry, messages: readonly Message[]): void {
    // A new array, so that a list which compares by identity is drawn again.
    entry.messages = [...entry.messages, ...messages];
    const lastSeq = Math.max(entry.conversation.lastSeq, this.highSeq(entry));
    entry.conversation = { ...entry.conversation, lastSeq };
  }
}

/** Counts a change. Returns false when others before it are missing. */
function advance(entry: Entry, revision: number): boolean {
  if (revision > entry.revision + 1) return false;
  entry.revision = Math.max(entry.revision, revision);
  return true;
}

/** Puts newer copies in the place of held messages; those that are not held come with history. */
function change(entry: Entry, copies: readonly Message[]): void {
  const newest = new Map<number, Message>();
  for (const copy of copies) if (copy.revision > (newest.get(copy.seq)?.revision ?? 0)) newest.set(copy.seq, copy);
  if (newest.size === 0) return;
  entry.messages = entry.messages.map((held) => {
    const copy = newest.get(held.seq);
    return copy && copy.revision > held.revision ? copy : held;
  });
}

function activityMs(entry: Entry): number {
  const sent = entry.messages.at(-1)?.sendTimeMs ?? entry.conversation.createTimeMs;
  return Math.max(sent, entry.outgoing.at(-1)?.createTimeMs ?? 0);
}
