import type { ScheduledCall as WireScheduledCall } from "./gen/parley/calls/v1/scheduled_pb.js";
import type { Api } from "./api.js";
import type { AttendanceAnswer, ScheduledCall, ScheduledCallDraft } from "./core/model.js";
import { Late } from "./late.js";

/** Scheduled calls of conversations. Every method rejects with a Failure; its `line` is for people. */
export class ScheduledCalls {
  /** Conversations whose scheduled calls are shown, or were. */
  private readonly shown = new Set<string>();
  private readonly requests;

  constructor(api: Api, changed: () => void) {
    this.requests = new Late(async () => {
      const { ScheduledCallRequests } = await import("./scheduled-call-requests.js");
      return new ScheduledCallRequests(api, changed);
    });
  }

  /** Those of a conversation that are not over, the next one first, as far as `refresh` and events have told. */
  of(conversationId: string): readonly ScheduledCall[] {
    return this.requests.part?.of(conversationId) ?? [];
  }

  /** Asks for those of a conversation; again after each gap in the event stream. */
  async refresh(conversationId: string): Promise<void> {
    this.shown.add(conversationId);
    await (await this.requests.get()).refresh(conversationId);
  }

  /** After Ready and Resync. */
  async refreshAll(): Promise<void> {
    await Promise.all(Array.from(this.shown, (conversationId) => this.refresh(conversationId)));
  }

  /** Plans a call; everybody in the conversation is told. */
  async schedule(conversationId: string, draft: ScheduledCallDraft): Promise<ScheduledCall> {
    return (await this.requests.get()).schedule(conversationId, draft);
  }

  /** Plans it anew: for its maker, and a group's admins, until its time has come. */
  async change(scheduledCallId: string, draft: ScheduledCallDraft): Promise<ScheduledCall> {
    return (await this.requests.get()).change(scheduledCallId, draft);
  }

  /** Takes it back; its links open no more. */
  async cancel(scheduledCallId: string): Promise<ScheduledCall> {
    return (await this.requests.get()).cancel(scheduledCallId);
  }

  /** Says whether this user comes. */
  async answer(scheduledCallId: string, answer: AttendanceAnswer): Promise<ScheduledCall> {
    return (await this.requests.get()).answer(scheduledCallId, answer);
  }

  /** From the event stream. */
  receive(call: WireScheduledCall): void {
    this.requests.tell((requests) => requests.receive(call));
  }
}
