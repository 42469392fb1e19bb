import { create } from "@bufbuild/protobuf";
import { type Timestamp, timestampFromMs, timestampMs } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError } from "@connectrpc/connect";
import { type ScheduledMessage, ScheduledMessageSchema, ScheduledState } from "../gen/parley/messaging/v1/scheduled_pb.js";
import { type SendMessageRequest, SendMessageRequestSchema } from "../gen/parley/messaging/v1/service_pb.js";
import type { MockBackend } from "./backend.js";
import { reason } from "./details.js";
import { messagesOf } from "./messages.js";

interface Request {
  readonly message?: SendMessageRequest | undefined;
  readonly sendTime?: Timestamp | undefined;
}

interface Named {
  readonly conversationId: string;
  readonly clientMessageId: string;
}

/** What each user has scheduled. It is sent when somebody calls `sendDue`, or by a timer of the page. */
export class MockScheduled {
  private readonly kept = new Map<string, ScheduledMessage>();

  constructor(private readonly backend: MockBackend) {}

  of(userId: string): ScheduledMessage[] {
    return [...this.kept].filter(([key]) => key.startsWith(`${userId} `)).map(([, message]) => message);
  }

  /** Sends what is due, or keeps why it cannot be sent. */
  sendDue(): void {
    for (const [key, scheduled] of this.kept) {
      const userId = key.slice(0, key.indexOf(" "));
      const { message } = scheduled;
      const isDue = scheduled.state === ScheduledState.WAITING && scheduled.sendTime && timestampMs(scheduled.sendTime) <= this.backend.now();
      if (!isDue || !message) continue;
      try {
        messagesOf(this.backend, userId).sendMessage(message);
        this.forget(userId, message);
      } catch {
        this.keep(userId, { ...scheduled, state: ScheduledState.REFUSED, refusalReason: "NOT_ALLOWED", revision: scheduled.revision + 1n });
      }
    }
  }

  keep(userId: string, scheduled: ScheduledMessage): ScheduledMessage {
    this.kept.set(keyOf(userId, scheduled.message), scheduled);
    this.backend.sendEvent([userId], { case: "scheduledMessage", value: structuredClone(scheduled) });
    const waitMs = scheduled.sendTime ? timestampMs(scheduled.sendTime) - this.backend.now() : 0;
    if (scheduled.state === ScheduledState.WAITING && waitMs < 86_400_000) setTimeout(() => this.sendDue(), Math.max(0, waitMs));
    return scheduled;
  }

  forget(userId: string, named: Named): void {
    const known = this.find(userId, named);
    if (!known) return;
    this.kept.delete(keyOf(userId, named));
    const { conversationId, clientMessageId } = named;
    const message = create(SendMessageRequestSchema, { conversationId, clientMessageId });
    const gone = create(ScheduledMessageSchema, { message, revision: known.revision + 1n, state: ScheduledState.GONE });
    this.backend.sendEvent([userId], { case: "scheduledMessage", value: gone });
  }

  find(userId: string, named: Named | undefined): ScheduledMessage | undefined {
    return this.kept.get(keyOf(userId, named));
  }
}

const keyOf = (userId: string, named: Named | undefined): string => `${userId} ${named?.conversationId} ${named?.clientMessageId}`;

export function scheduledOf(backend: MockBackend, userId: string) {
  const { scheduled, files } = backend;
  return {
    scheduleMessage: ({ message, sendTime }: Request) => {
      backend.count("scheduleMessage");
      const known = scheduled.find(userId, message);
      const fresh = () => {
        const createTime = timestampFromMs(backend.now());
        const attachments = files.take(message?.attachmentIds ?? []);
        const init = { attachments, createTime, revision: 1n, state: ScheduledState.WAITING, ...(message && { message }), ...(sendTime && { sendTime }) };
        return scheduled.keep(userId, create(ScheduledMessageSchema, init));
      };
      return { result: { case: "scheduled" as const, value: known ?? fresh() } };
    },
    updateScheduledMessage: ({ message, sendTime }: Request) => {
      backend.count("updateScheduledMessage");
      const known = scheduled.find(userId, message);
      if (!known) throw reason(new ConnectError("no such scheduled message", Code.NotFound), "SCHEDULED_NOT_FOUND");
      const content = message?.content.case ? { message, attachments: files.take(message.attachmentIds) } : {};
      const next = { ...known, ...content, ...(sendTime && { sendTime }), state: ScheduledState.WAITING, refusalReason: "", revision: known.revision + 1n };
      return { scheduled: scheduled.keep(userId, next) };
    },
    cancelScheduledMessage: (named: Named) => {
      backend.count("cancelScheduledMessage");
      scheduled.forget(userId, named);
      return {};
    },
    listScheduledMessages: () => {
      backend.count("listScheduledMessages");
      return { messages: scheduled.of(userId) };
    },
  };
}
