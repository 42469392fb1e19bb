/** What is asked of the service about scheduled messages; loaded when it is first needed. */
import type { ScheduledMessage as WireScheduled } from "./gen/parley/messaging/v1/scheduled_pb.js";
import type { Api } from "./api.js";
import type { ScheduledMessage } from "./core/model.js";
import { failureFor, orFailure, readFailure } from "./errors.js";
import type { Draft } from "./outbox.js";
import { millis, readAttachment, readContent, writeText, writeTime } from "./wire.js";

/** As it was last told; `message` is undefined once it is gone. */
export interface Told {
  /** Of the conversation and the message's id. */
  readonly key: string;
  readonly revision: number;
  readonly message: ScheduledMessage | undefined;
}

/** By the numbers of ScheduledState. */
const STATES: readonly (ScheduledMessage["state"] | undefined)[] = [undefined, "waiting", "sending", "refused", "held"];

interface Named {
  readonly conversationId: string;
  readonly clientMessageId: string;
}

const keyOf = ({ conversationId, clientMessageId }: Named): string => `${conversationId} ${clientMessageId}`;
const nameOf = ({ conversationId, clientMessageId }: Named): Named => ({ conversationId, clientMessageId });

export function read(wire: WireScheduled): Told | undefined {
  const { message: request, revision } = wire;
  const state = STATES[wire.state];
  if (!request) return undefined;
  const message: ScheduledMessage | undefined = state && {
    ...nameOf(request),
    content: readContent(request.content),
    replyToSeq: Number(request.replyToSeq),
    attachments: wire.attachments.map(readAttachment),
    sendTimeMs: millis(wire.sendTime) ?? 0,
    state,
    problem: wire.refusalReason ? failureFor(wire.refusalReason, 0) : undefined,
    revision: Number(revision),
  };
  return { key: keyOf(request), revision: Number(revision), message };
}

function writeDraft({ text, entities = [], replyToSeq = 0, attachments = [] }: Draft) {
  return {
    content: { case: "text" as const, value: writeText(text, entities) },
    replyToSeq: BigInt(replyToSeq),
    attachmentIds: attachments.map(({ id }) => id),
  };
}

/** Undefined when it was sent already. Rejects with a Failure. */
export async function schedule(api: Api, named: Named, draft: Draft, sendTimeMs: number): Promise<Told | undefined> {
  const message = { ...writeDraft(draft), ...named };
  const { result } = await orFailure(api.scheduled.scheduleMessage({ message, sendTime: writeTime(sendTimeMs) }));
  return result.case === "scheduled" ? read(result.value) : undefined;
}

/** Rejects with a Failure. */
export async function change(api: Api, named: Named, draft: Draft | undefined, sendTimeMs: number | undefined): Promise<Told | undefined> {
  const sendTime = sendTimeMs === undefined ? {} : { sendTime: writeTime(sendTimeMs) };
  const request = { message: { ...(draft && writeDraft(draft)), ...nameOf(named) }, ...sendTime };
  const { scheduled } = await orFailure(api.scheduled.updateScheduledMessage(request));
  return scheduled && read(scheduled);
}

/** Rejects with a Failure. */
export async function cancel(api: Api, message: ScheduledMessage): Promise<Told> {
  await orFailure(api.scheduled.cancelScheduledMessage(nameOf(message)));
  return { key: keyOf(message), revision: message.revision + 1, message: undefined };
}

/** All of them; undefined from a service that is older than this client. Rejects with a Failure. */
export async function list(api: Api): Promise<Told[] | undefined> {
  const found: Told[] = [];
  let pageToken = "";
  try {
    do {
      const page = await api.scheduled.listScheduledMessages({ pageToken });
      found.push(...page.messages.flatMap((wire) => read(wire) ?? []));
      pageToken = page.nextPageToken;
    } while (pageToken);
  } catch (error) {
    const failure = readFailure(error);
    if (failure.code === "unimplemented") return undefined;
    throw failure;
  }
  return found;
}
