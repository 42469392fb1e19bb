import type { ScheduledMessage as WireScheduled } from "./gen/parley/messaging/v1/scheduled_pb.js";
import type { Api } from "./api.js";
import type { ScheduledMessage } from "./core/model.js";
import { orFailure } from "./errors.js";
import type { Draft } from "./outbox.js";
import type { Told } from "./scheduled-requests.js";

/** A message may be scheduled so far ahead. */
export const MAX_AHEAD_MS = 30 * 86_400_000;

const load = () => orFailure(import("./scheduled-requests.js"));

/**
 * Messages of this user that are written now and sent at a time, by the service: no device needs to be there then. All of the
 * user's devices have them. Every method but `of` and `receive` rejects with a Failure.
 */
export class ScheduledMessages {
  /** What is gone stays known, so that a list that was on its way does not bring it back. */
  private readonly known = new Map<string, Told>();

  constructor(
    private readonly api: Api,
    private readonly changed: () => void,
  ) {}

  /** Those of a conversation, the next one first. */
  of(conversationId: string): ScheduledMessage[] {
    const found = Array.from(this.known.values()).flatMap(({ message }) => (message?.conversationId === conversationId ? message : []));
    return found.sort((one, other) => one.sendTimeMs - other.sendTimeMs);
  }

  /** Who tries again after a failure gives the same id, so that it is not scheduled twice. */
  async schedule(conversationId: string, draft: Draft, sendTimeMs: number, clientMessageId: string = crypto.randomUUID()): Promise<void> {
    this.take(await (await load()).schedule(this.api, { conversationId, clientMessageId }, draft, sendTimeMs));
  }

  /** Gives one another time, another draft with its files and what it answers, or both. What was refused is tried again. */
  async change(message: ScheduledMessage, { draft, sendTimeMs }: { draft?: Draft | undefined; sendTimeMs?: number | undefined }): Promise<void> {
    this.take(await (await load()).change(this.api, message, draft, sendTimeMs));
  }

  /** Sends one without waiting for its time. */
  sendNow(message: ScheduledMessage): Promise<void> {
    // Long over: this device's clock has no part in it.
    return this.change(message, { sendTimeMs: 0 });
  }

  async cancel(message: ScheduledMessage): Promise<void> {
    this.take(await (await load()).cancel(this.api, message));
  }

  /** Asks for all of them. A service that is older than this client has none. */
  async refresh(): Promise<void> {
    const before = new Map(this.known);
    const listed = await (await load()).list(this.api);
    if (!listed) return;
    for (const told of listed) this.take(told);
    // What the list lacks is gone, unless it came while the list was on its way.
    for (const [key, told] of before) if (told.message && this.known.get(key) === told && !listed.some((one) => one.key === key)) this.known.delete(key);
    this.changed();
  }

  /** Takes what the service tells of one. */
  receive(wire: WireScheduled): void {
    // Without the code, the next catch-up brings it.
    void load().then(({ read }) => this.take(read(wire)), () => undefined);
  }

  private take(told: Told | undefined): void {
    if (!told || (this.known.get(told.key)?.revision ?? 0) >= told.revision) return;
    this.known.set(told.key, told);
    this.changed();
  }
}
