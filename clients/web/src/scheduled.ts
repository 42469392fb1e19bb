import type { ScheduledMessage as WireScheduled } from "./gen/parley/messaging/v1/scheduled_pb.js";
import type { Api } from "./api.js";
import type { ScheduledMessage } from "./core/model.js";
import { asFailure, failureFor, orFailure, readFailure } from "./errors.js";
import type { Draft } from "./outbox.js";
import { millis, readAttachment, readContent, writeText, writeTime } from "./wire.js";

/** A message may be scheduled so far ahead. */
export const MAX_AHEAD_MS = 30 * 86_400_000;

/** By the numbers of ScheduledState. */
const STATES: readonly (ScheduledMessage["state"] | undefined)[] = [undefined, "waiting", "sending", "refused", "held"];

/** As it was last told; `message` is undefined once it is gone. */
interface Known {
  readonly revision: number;
  readonly message: ScheduledMessage | undefined;
}

/**
 * Messages of this user that are written now and sent at a time, by the service: no device needs to be there then. All of the
 * user's devices have them. Every method but `of` and `receive` rejects with a Failure.
 */
export class ScheduledMessages {
  /** By conversation and id. What is gone stays known, so that a list that was on its way does not bring it back. */
  private known = new Map<string, Known>();

  constructor(
    private readonly api: Api,
    private readonly changed: () => void,
  ) {}

  /** Those of a conversation, the next one first. */
  of(conversationId: string): ScheduledMessage[] {
    const found = Array.from(this.known.values(), ({ message }) => message).filter((message) => message?.conversationId === conversationId);
    return (found as ScheduledMessage[]).sort((one, other) => one.sendTimeMs - other.sendTimeMs);
  }

  /** Who tries again after a failure gives the same id, so that it is not scheduled twice. */
  async schedule(conversationId: string, draft: Draft, sendTimeMs: number, clientMessageId: string = crypto.randomUUID()): Promise<void> {
    const message = { ...writeDraft(draft), conversationId, clientMessageId };
    const { result } = await orFailure(this.api.scheduled.scheduleMessage({ message, sendTime: writeTime(sendTimeMs) }));
    if (result.case === "scheduled") this.receive(result.value);
  }

  /** Gives one another time, another draft with its files and what it answers, or both. What was refused is tried again. */
  async change(message: ScheduledMessage, { draft, sendTimeMs }: { draft?: Draft | undefined; sendTimeMs?: number | undefined }): Promise<void> {
    const sendTime = sendTimeMs === undefined ? {} : { sendTime: writeTime(sendTimeMs) };
    const request = { message: { ...(draft && writeDraft(draft)), ...nameOf(message) }, ...sendTime };
    const { scheduled } = await orFailure(this.api.scheduled.updateScheduledMessage(request));
    if (scheduled) this.receive(scheduled);
  }

  /** Sends one without waiting for its time. */
  sendNow(message: ScheduledMessage): Promise<void> {
    // Long over: this device's clock has no part in it.
    return this.change(message, { sendTimeMs: 0 });
  }

  async cancel(message: ScheduledMessage): Promise<void> {
    await orFailure(this.api.scheduled.cancelScheduledMessage(nameOf(message)));
    this.know(message, { revision: message.revision + 1, message: undefined });
  }

  /** Asks for all of them. A service that is older than this client has none. */
  async refresh(): Promise<void> {
    const before = new Map(this.known);
    const listed = new Set<string>();
    try {
      let pageToken = "";
      do {
        const page = await this.api.scheduled.listScheduledMessages({ pageToken });
        for (const wire of page.messages) {
          listed.add(keyOf(wire.message));
          this.receive(wire);
        }
        pageToken = page.nextPageToken;
      } while (pageToken);
    } catch (error) {
      const failure = readFailure(error);
      if (failure.code !== "unimplemented") throw asFailure(error);
    }
    // What the list lacks is gone, unless it came while the list was on its way.
    for (const [key, { message }] of before) if (message && !listed.has(key) && this.known.get(key)?.message === message) this.known.delete(key);
    this.changed();
  }

  /** Takes what the service tells of one. */
  receive(wire: WireScheduled): void {
    const { message: request, revision } = wire;
    const state = STATES[wire.state];
    const message: ScheduledMessage | undefined = request &&
      state && {
        conversationId: request.conversationId,
        clientMessageId: request.clientMessageId,
        content: readContent(request.content),
        replyToSeq: Number(request.replyToSeq),
        attachments: wire.attachments.map(readAttachment),
        sendTimeMs: millis(wire.sendTime) ?? 0,
        state,
        problem: wire.refusalReason ? failureFor(wire.refusalReason, 0) : undefined,
        revision: Number(revision),
      };
    if (request) this.know(request, { revision: Number(revision), message });
  }

  private know(named: Named, next: Known): void {
    const key = keyOf(named);
    if ((this.known.get(key)?.revision ?? 0) >= next.revision) return;
    this.known.set(key, next);
    this.changed();
  }
}

interface Named {
  readonly conversationId: string;
  readonly clientMessageId: string;
}

const keyOf = (named: Named | undefined): string => `${named?.conversationId} ${named?.clientMessageId}`;
const nameOf = ({ conversationId, clientMessageId }: Named): Named => ({ conversationId, clientMessageId });

function writeDraft({ replyToSeq = 0, attachments = [], ...written }: Draft) {
  return {
    content: { case: "text" as const, value: writeText(written) },
    replyToSeq: BigInt(replyToSeq),
    attachmentIds: attachments.map(({ id }) => id),
  };
}
