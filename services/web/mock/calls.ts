import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError } from "@connectrpc/connect";
import { type Call, CallSchema, CallState, EndReason, MediaGrantSchema } from "../src/gen/parley/calls/v1/messages_pb";
import { CallOutcome } from "../src/gen/parley/messaging/v1/messages_pb";
import { type MockBackend, memberIds } from "./backend";

const OUTCOMES: Partial<Record<EndReason, CallOutcome>> = {
  [EndReason.MISSED]: CallOutcome.MISSED,
  [EndReason.DECLINED]: CallOutcome.DECLINED,
  [EndReason.CANCELLED]: CallOutcome.CANCELLED,
  [EndReason.BUSY]: CallOutcome.BUSY,
};

/** Calls between two, without media. */
export class MockCalls {
  private readonly calls = new Map<string, Call>();

  constructor(private readonly backend: MockBackend) {}

  methodsOf(userId: string) {
    const grant = () => create(MediaGrantSchema, { joinToken: "mock", audioSlots: 1, videoSlots: 1 });
    const end = (callId: string, reason: EndReason) => ({ call: this.end(callId, reason) });
    return {
      startCall: ({ conversationId, video, deviceId }: { conversationId: string; video: boolean; deviceId: string }) => {
        this.backend.count("startCall");
        const peer = memberIds(this.backend.room(conversationId)).find((id) => id !== userId) ?? "";
        const call = create(CallSchema, {
          callId: this.backend.id("call"),
          conversationId,
          callerId: userId,
          video,
          state: CallState.RINGING,
          participants: [{ userId, deviceId }, { userId: peer }],
          createTime: timestampFromMs(this.backend.now()),
          version: 1n,
        });
        this.calls.set(call.callId, call);
        this.tell(call);
        return { call, grant: grant() };
      },
      acceptCall: ({ callId, deviceId }: { callId: string; deviceId: string }) => {
        this.backend.count("acceptCall");
        const call = this.change(callId, { state: CallState.ACTIVE, answerTime: timestampFromMs(this.backend.now()) });
        for (const p of call.participants) if (p.userId === userId) p.deviceId = deviceId;
        this.tell(call);
        return { call, grant: grant() };
      },
      declineCall: ({ callId }: { callId: string }) => end(callId, EndReason.DECLINED),
      cancelCall: ({ callId }: { callId: string }) => end(callId, EndReason.CANCELLED),
      leaveCall: ({ callId }: { callId: string }) => {
        this.backend.count("leaveCall");
        const call = this.of(callId);
        if (call.state === CallState.ACTIVE) return end(callId, EndReason.HUNG_UP);
        return end(callId, call.callerId === userId ? EndReason.CANCELLED : EndReason.DECLINED);
      },
      getCall: ({ callId }: { callId: string }) => ({ call: this.of(callId) }),
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

  /** Ends a call as the service does: every member is told, and the conversation gets its record. */
  end(callId: string, reason: EndReason): Call {
    const before = this.of(callId);
    if (before.state === CallState.ENDED) return before;
    const call = this.change(callId, { state: CallState.ENDED, endReason: reason, endTime: timestampFromMs(this.backend.now()) });
    this.tell(call);
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

  private change(callId: string, change: Partial<Call>): Call {
    const call = this.of(callId);
    const next = { ...call, ...change, version: call.version + 1n };
    this.calls.set(callId, next);
    return next;
  }

  private tell(call: Call): void {
    this.backend.tell(call.participants.map((p) => p.userId), { case: "call", value: structuredClone(call) });
  }

  private of(callId: string): Call {
    const call = this.calls.get(callId);
    if (!call) throw new ConnectError("no such call", Code.NotFound);
    return call;
  }
}
