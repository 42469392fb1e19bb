import type { Conversation, Member, Message, Outgoing } from "./model";

/** What became of a message that arrived on the stream. `gap` and `stranger` mean: call Sync. */
export type Arrival = "added" | "known" | "gap" | "stranger";

export interface ConversationView {
  readonly conversation: Conversation;
  /** Ascending by seq, without gaps among themselves. */
  readonly messages: readonly Message[];
  /** In the order of writing; they stand after all messages. */
  readonly outgoing: readonly Outgoing[];
  readonly hasOlder: boolean;
  readonly unread: number;
}

interface Entry {
  conversation: Conversation;
  messages: Message[];
  outgoing: Outgoing[];
}

export interface Cursor {
  readonly conversationId: string;
  readonly seq: number;
}

/**
 * Conversations as one device knows them.
 *
 * Of each conversation it holds one unbroken range of messages; everything that would tear the range is refused
 * (`gap`) and left to Sync, so what is shown never lacks a message in its middle. All methods are idempotent:
 * the same event, page or delta applied twice changes nothing.
 */
export class ConversationStore {
  private readonly entries = new Map<string, Entry>();

  constructor(private readonly selfId: string) {}

  /** Takes a conversation as the server sees it; cursors and counters only move forward. */
  applyConversation(next: Conversation): void {
    const entry = this.entries.get(next.id);
    if (!entry) {
      this.entries.set(next.id, { conversation: next, messages: [], outgoing: [] });
      return;
    }
    const known = new Map(entry.conversation.members.map((m) => [m.userId, m.readSeq]));
    const members = next.members.map((m) => ({ ...m, readSeq: Math.max(m.readSeq, known.get(m.userId) ?? 0) }));
    entry.conversation = { ...next, members, lastSeq: Math.max(next.lastSeq, entry.conversation.lastSeq) };
  }

  /** Takes one message from the event stream, or one's own that the server acknowledged. */
  applyMessage(message: Message): Arrival {
    const entry = this.entries.get(message.conversationId);
    if (!entry) return "stranger";
    const low = entry.messages[0]?.seq;
    const high = highSeq(entry);
    if (message.seq > high + 1) return "gap";
    this.settle(entry, message);
    if (message.seq <= high && (low === undefined || message.seq >= low)) return "known";
    if (low !== undefined && message.seq < low) return "known";
    this.append(entry, [message]);
    return "added";
  }

  /**
   * Takes what Sync returned: ascending, gapless. A delta that starts beyond what is held replaces it
   * (the server sends the newest page only, when the device knew nothing).
   */
  applyDelta(conversation: Conversation, messages: readonly Message[]): void {
    this.applyConversation(conversation);
    const entry = this.entries.get(conversation.id);
    const first = messages[0];
    if (!entry || !first) return;
    if (entry.messages.length === 0 || first.seq > highSeq(entry) + 1) entry.messages = [];
    for (const message of messages) this.settle(entry, message);
    const high = entry.messages.at(-1)?.seq ?? first.seq - 1;
    this.append(entry, messages.filter((m) => m.seq > high));
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

  addOutgoing(outgoing: Outgoing): void {
    this.entries.get(outgoing.conversationId)?.outgoing.push(outgoing);
  }

  /** Replaces an unacknowledged message's state. Unknown ids are ignored: the message was acknowledged meanwhile. */
  updateOutgoing(conversationId: string, clientMessageId: string, change: Partial<Outgoing>): void {
    const entry = this.entries.get(conversationId);
    if (!entry) return;
    entry.outgoing = entry.outgoing.map((o) => (o.clientMessageId === clientMessageId ? { ...o, ...change } : o));
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
      .map((entry) => ({ conversationId: entry.conversation.id, seq: highSeq(entry) }));
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
      hasOlder: low > 1,
      unread: this.unread(entry, low),
    };
  }

  private unread(entry: Entry, low: number): number {
    const readSeq = this.readSeq(entry);
    // Whoever wrote last has seen what stands above; this also spares a guess about messages that are not loaded.
    if (entry.messages.at(-1)?.senderId === this.selfId) return 0;
    const held = entry.messages.filter((m) => m.seq > readSeq && m.senderId !== this.selfId).length;
    return held + Math.max(0, low - 1 - readSeq);
  }

  private readSeq(entry: Entry): number {
    return entry.conversation.members.find((m: Member) => m.userId === this.selfId)?.readSeq ?? 0;
  }

  private settle(entry: Entry, message: Message): void {
    if (message.senderId !== this.selfId) return;
    entry.outgoing = entry.outgoing.filter((o) => o.clientMessageId !== message.clientMessageId);
  }

  private append(entry: Entry, messages: readonly Message[]): void {
    // A new array, so that a list which compares by identity is drawn again.
    entry.messages = [...entry.messages, ...messages];
    const lastSeq = Math.max(entry.conversation.lastSeq, highSeq(entry));
    entry.conversation = { ...entry.conversation, lastSeq };
  }
}

function highSeq(entry: Entry): number {
  return entry.messages.at(-1)?.seq ?? 0;
}

function activityMs(entry: Entry): number {
  const sent = entry.messages.at(-1)?.sendTimeMs ?? entry.conversation.createTimeMs;
  return Math.max(sent, entry.outgoing.at(-1)?.createTimeMs ?? 0);
}
