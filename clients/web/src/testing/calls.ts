import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError } from "@connectrpc/connect";
import { type Call, CallSchema, type CallSettings, CallSettingsSchema, CallState, EndReason, MediaGrantSchema, type Participant, ParticipantState } from "../gen/parley/calls/v1/messages_pb.js";
import { CallOutcome, ConversationKind } from "../gen/parley/messaging/v1/messages_pb.js";
import type { MockBackend } from "./backend.js";

const OUTCOMES: Partial<Record<EndReason, CallOutcome>> = {
  [EndReason.MISSED]: CallOutcome.MISSED,
  [EndReason.DECLINED]: CallOutcome.DECLINED,
  [EndReason.CANCELLED]: CallOutcome.CANCELLED,
  [EndReason.BUSY]: CallOutcome.BUSY,
};

type Key = { callId: string; deviceId: string };
type Of = { callId: string };

/** Calls of two and of groups, without media, roles or races. */
export class MockCalls {
  private readonly calls = new Map<string, Call>();
  private readonly settings = new Map<string, CallSettings>();

  constructor(private readonly backend: MockBackend) {}

  methodsOf(userId: string) {
    const grant = () => create(MediaGrantSchema, { joinToken: "mock", audioSlots: 1, videoSlots: 1 });
    const end = (callId: string, reason: EndReason) => ({ call: this.end(callId, reason) });
    return {
      startCall: ({ conversationId, video, deviceId }: { conversationId: string; video: boolean; deviceId: string }) => {
        this.backend.count("startCall");
        const { conversation } = this.backend.stored(conversationId);
        const running = [...this.calls.values()].find((c) => c.group && c.conversationId === conversationId && c.state !== CallState.ENDED);
        if (running) return { call: this.joinParticipant("joinCall", userId, { callId: running.callId, deviceId }), grant: grant() };
        const others = conversation.members.map((m) => m.userId).filter((id) => id !== userId);
        const call = create(CallSchema, {
          callId: this.backend.id("call"),
          conversationId,
          callerId: userId,
          video,
          state: CallState.RINGING,
          participants: [{ userId, deviceId, state: ParticipantState.JOINED }, ...others.map((id) => ({ userId: id, state: ParticipantState.RINGING }))],
          group: conversation.kind === ConversationKind.GROUP,
          createTime: timestampFromMs(this.backend.now()),
          version: 1n,
        });
        this.calls.set(call.callId, call);
        this.sendEvent(call);
        return { call, grant: grant() };
      },
      acceptCall: (key: Key) => ({ call: this.joinParticipant("acceptCall", userId, key), grant: grant() }),
      joinCall: (key: Key) => ({ call: this.joinParticipant("joinCall", userId, key), grant: grant() }),
      takeOverCall: (key: Key) => ({ call: this.joinParticipant("takeOverCall", userId, key), grant: grant() }),
      declineCall: ({ callId }: Of) => (this.of(callId).group ? this.removeParticipant(callId, userId, ParticipantState.NOT_JOINED) : end(callId, EndReason.DECLINED)),
      cancelCall: ({ callId }: Of) => end(callId, EndReason.CANCELLED),
      leaveCall: ({ callId }: Of) => {
        this.backend.count("leaveCall");
        const call = this.of(callId);
        if (call.group) return this.removeParticipant(callId, userId, ParticipantState.LEFT);
        if (call.state === CallState.ACTIVE) return end(callId, EndReason.HUNG_UP);
        return end(callId, call.callerId === userId ? EndReason.CANCELLED : EndReason.DECLINED);
      },
      setHand: ({ callId, raised }: Of & { raised: boolean }) => {
        const { handRaiseTime: _, ...down } = this.participantOf(callId, userId);
        return { call: this.setParticipant(callId, raised ? { ...down, handRaiseTime: this.time() } : down) };
      },
      requestMute: ({ callId, userId: whom }: Of & { userId: string }) => ({ call: this.setParticipant(callId, { ...this.participantOf(callId, whom), muteRequestTime: this.time() }) }),
      removeParticipant: ({ callId, userId: whom }: Of & { userId: string }) => this.removeParticipant(callId, whom, ParticipantState.REMOVED),
      setLock: ({ callId, locked }: Of & { locked: boolean }) => ({ call: this.publish(this.change(callId, { locked })) }),
      endCall: ({ callId }: Of) => end(callId, EndReason.HUNG_UP),
      getCallSettings: () => ({ settings: this.settings.get(userId) ?? create(CallSettingsSchema) }),
      updateCallSettings: ({ settings = create(CallSettingsSchema) }: { settings?: CallSettings | undefined }) => {
        this.settings.set(userId, settings);
        return { settings };
      },
      getCall: ({ callId }: Of) => ({ call: this.of(callId) }),
      listActiveCalls: () => ({
        calls: [...this.calls.values()].filter((c) => c.state !== CallState.ENDED && c.participants.some((p) => p.userId === userId)),
      }),
      renewMediaGrant: () => {
        this.backend.count("renewMediaGrant");
        return { grant: grant() };
      },
      joinMedia: () => ({ sdpAnswer: "" }),
    };
  }

  /** Ends a call as the service does: an event to every member, and a record in the conversation. */
  end(callId: string, reason: EndReason): Call {
    const before = this.of(callId);
    if (before.state === CallState.ENDED) return before;
    const call = this.change(callId, { state: CallState.ENDED, endReason: reason, endTime: timestampFromMs(this.backend.now()) });
    this.sendEvent(call);
    const seconds = call.answerTime ? BigInt(Math.round(this.backend.now() / 1000)) - call.answerTime.seconds : 0n;
    const value = {
      $typeName: "parley.messaging.v1.CallContent" as const,
      callId,
      video: call.video,
      outcome: OUTCOMES[reason] ?? CallOutcome.COMPLETED,
      length: { $typeName: "google.protobuf.Duration" as const, seconds, nanos: 0 },
      participantUserIds: [],
    };
    this.backend.post(call.conversationId, call.callerId, { case: "call", value });
    return call;
  }

  /** Puts a device into the call, in the place of another one of its user. */
  private joinParticipant(method: string, userId: string, { callId, deviceId }: Key): Call {
    this.backend.count(method);
    this.change(callId, { state: CallState.ACTIVE, answerTime: this.of(callId).answerTime ?? this.time() });
    return this.setParticipant(callId, { ...this.participantOf(callId, userId), deviceId, state: ParticipantState.JOINED });
  }

  private removeParticipant(callId: string, userId: string, state: ParticipantState): { call: Call } {
    const { handRaiseTime: _, ...seat } = this.participantOf(callId, userId);
    const call = this.setParticipant(callId, { ...seat, deviceId: "", state });
    if (call.participants.some((p) => p.state === ParticipantState.JOINED)) return { call };
    return { call: this.end(callId, call.answerTime ? EndReason.HUNG_UP : EndReason.CANCELLED) };
  }

  private participantOf(callId: string, userId: string): Participant {
    const seat = this.of(callId).participants.find((p) => p.userId === userId);
    if (!seat) throw new ConnectError("not in the call", Code.NotFound);
    return seat;
  }

  private setParticipant(callId: string, seat: Participant): Call {
    const participants = this.of(callId).participants.map((p) => (p.userId === seat.userId ? seat : p));
    return this.publish(this.change(callId, { participants }));
  }

  private publish(call: Call): Call {
    this.sendEvent(call);
    return call;
  }

  private time() {
    return timestampFromMs(this.backend.now());
  }

  private change(callId: string, change: Partial<Call>): Call {
    const call = this.of(callId);
    const next = { ...call, ...change, version: call.version + 1n };
    this.calls.set(callId, next);
    return next;
  }

  private sendEvent(call: Call): void {
    this.backend.sendEvent(call.participants.map((p) => p.userId), { case: "call", value: structuredClone(call) });
  }

  private of(callId: string): Call {
    const call = this.calls.get(callId);
    if (!call) throw new ConnectError("no such call", Code.NotFound);
    return call;
  }
}
