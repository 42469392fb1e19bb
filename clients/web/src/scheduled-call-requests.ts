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

/** What `ScheduledCalls` does; its code comes with the first conversation whose scheduled calls are shown. */
export class ScheduledCallRequests {
  private readonly known = new Map<string, ScheduledCall>();

  constructor(
    private readonly api: Api,
    private readonly changed: () => void,
  ) {}

  of(conversationId: string): readonly ScheduledCall[] {
    const own = [...this.known.values()].filter((call) => call.conversationId === conversationId && LIVE.has(call.state));
    return own.sort((a, b) => a.startTimeMs - b.startTimeMs || (a.id < b.id ? -1 : 1));
  }

  async refresh(conversationId: string): Promise<void> {
    const { scheduledCalls } = await orFailure(this.api.calls.listScheduledCalls({ conversationId }));
    const listed = new Set(scheduledCalls.map(({ scheduledCallId }) => scheduledCallId));
    // What is not listed is over.
    for (const call of this.of(conversationId)) if (!listed.has(call.id)) this.known.delete(call.id);
    for (const wire of scheduledCalls) this.take(readScheduledCall(wire));
    this.changed();
  }

  async schedule(conversationId: string, draft: ScheduledCallDraft): Promise<ScheduledCall> {
    const request = { conversationId, ...wireDraft(draft), clientRequestId: crypto.randomUUID() };
    return this.answered(await orFailure(this.api.calls.scheduleCall(request)));
  }

  async change(scheduledCallId: string, draft: ScheduledCallDraft): Promise<ScheduledCall> {
    return this.answered(await orFailure(this.api.calls.changeScheduledCall({ scheduledCallId, ...wireDraft(draft) })));
  }

  async cancel(scheduledCallId: string): Promise<ScheduledCall> {
    return this.answered(await orFailure(this.api.calls.cancelScheduledCall({ scheduledCallId })));
  }

  async answer(scheduledCallId: string, answer: AttendanceAnswer): Promise<ScheduledCall> {
    return this.answered(await orFailure(this.api.calls.answerScheduledCall({ scheduledCallId, answer: WIRE_ANSWERS[answer] })));
  }

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
