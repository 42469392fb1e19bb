import type { ScheduledCall as WireScheduledCall } from "./gen/parley/calls/v1/scheduled_pb.js";
import { AttendanceAnswer as WireAnswer, ScheduledCallState as WireState } from "./gen/parley/calls/v1/scheduled_pb.js";
import type { Api } from "./api.js";
import { displayName } from "./core/display-name.js";
import type { AttendanceAnswer, ScheduledCall, ScheduledCallDraft, ScheduledCallState } from "./core/model.js";
import { orFailure } from "./errors.js";
import { millis } from "./wire.js";

const STATES: Partial<Record<WireState, ScheduledCallState>> = {
  [WireState.PLANNED]: "planned",
  [WireState.OPEN]: "open",
  [WireState.ENDED]: "ended",
  [WireState.UNATTENDED]: "unattended",
  [WireState.CANCELLED]: "cancelled",
};
const ANSWERS: Partial<Record<WireAnswer, AttendanceAnswer>> = {
  [WireAnswer.YES]: "yes",
  [WireAnswer.NO]: "no",
  [WireAnswer.MAYBE]: "maybe",
};
const WIRE_ANSWERS: Readonly<Record<AttendanceAnswer, WireAnswer>> = { yes: WireAnswer.YES, no: WireAnswer.NO, maybe: WireAnswer.MAYBE };

const LIVE: ReadonlySet<ScheduledCallState> = new Set(["planned", "open"]);

/** Scheduled calls of conversations. Every method rejects with a Failure; its `line` is for people. */
export class ScheduledCalls {
  private readonly known = new Map<string, ScheduledCall>();
  /** Conversations whose scheduled calls are shown, or were. */
  private readonly shown = new Set<string>();

  constructor(
    private readonly api: Api,
    private readonly changed: () => void,
  ) {}

  /** Those of a conversation that are not over, the next one first, as far as `refresh` and events have told. */
  of(conversationId: string): readonly ScheduledCall[] {
    const own = [...this.known.values()].filter((call) => call.conversationId === conversationId && LIVE.has(call.state));
    return own.sort((a, b) => a.startTimeMs - b.startTimeMs || (a.id < b.id ? -1 : 1));
  }

  /** Asks for those of a conversation; again after each gap in the event stream. */
  async refresh(conversationId: string): Promise<void> {
    this.shown.add(conversationId);
    const { scheduledCalls } = await orFailure(this.api.calls.listScheduledCalls({ conversationId }));
    const listed = new Set(scheduledCalls.map(({ scheduledCallId }) => scheduledCallId));
    // What is not listed is over.
    for (const call of this.of(conversationId)) if (!listed.has(call.id)) this.known.delete(call.id);
    for (const wire of scheduledCalls) this.take(readScheduledCall(wire));
    this.changed();
  }

  /** After Ready and Resync. */
  async refreshAll(): Promise<void> {
    await Promise.all([...this.shown].map((conversationId) => this.refresh(conversationId)));
  }

  /** Plans a call; everybody in the conversation is told. */
  async schedule(conversationId: string, draft: ScheduledCallDraft): Promise<ScheduledCall> {
    const request = { conversationId, ...wireDraft(draft), clientRequestId: crypto.randomUUID() };
    return this.answered(await orFailure(this.api.calls.scheduleCall(request)));
  }

  /** Plans it anew: for its maker, and a group's admins, until its time has come. */
  async change(scheduledCallId: string, draft: ScheduledCallDraft): Promise<ScheduledCall> {
    return this.answered(await orFailure(this.api.calls.changeScheduledCall({ scheduledCallId, ...wireDraft(draft) })));
  }

  /** Takes it back; its links open no more. */
  async cancel(scheduledCallId: string): Promise<ScheduledCall> {
    return this.answered(await orFailure(this.api.calls.cancelScheduledCall({ scheduledCallId })));
  }

  /** Says whether this user comes. */
  async answer(scheduledCallId: string, answer: AttendanceAnswer): Promise<ScheduledCall> {
    return this.answered(await orFailure(this.api.calls.answerScheduledCall({ scheduledCallId, answer: WIRE_ANSWERS[answer] })));
  }

  /** From the event stream. */
  receive(wire: WireScheduledCall): void {
    this.take(readScheduledCall(wire));
    this.changed();
  }

  private answered({ scheduledCall }: { scheduledCall?: WireScheduledCall | undefined }): ScheduledCall {
    if (!scheduledCall) throw new Error("no scheduled call in the answer");
    this.receive(scheduledCall);
    return readScheduledCall(scheduledCall);
  }

  private take(call: ScheduledCall): void {
    const known = this.known.get(call.id);
    if (!known || known.version < call.version) this.known.set(call.id, call);
  }
}

function wireDraft({ title, video, startTimeMs, lengthS, reminderS }: ScheduledCallDraft) {
  return { title, video, startTime: { seconds: BigInt(Math.floor(startTimeMs / 1000)), nanos: 0 }, lengthS, reminderS };
}

function readScheduledCall(wire: WireScheduledCall): ScheduledCall {
  return {
    id: wire.scheduledCallId,
    conversationId: wire.conversationId,
    makerUserId: wire.makerUserId,
    title: displayName(wire.title),
    video: wire.video,
    startTimeMs: millis(wire.startTime) ?? 0,
    lengthS: wire.lengthS,
    reminderS: wire.reminderS,
    state: STATES[wire.state] ?? "ended",
    callId: wire.callId,
    answers: Object.fromEntries(wire.answers.flatMap(({ userId, answer }) => (ANSWERS[answer] ? [[userId, ANSWERS[answer]]] : []))),
    createTimeMs: millis(wire.createTime) ?? 0,
    version: Number(wire.version),
    group: wire.group,
  };
}
