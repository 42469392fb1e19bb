import type { Timestamp } from "@bufbuild/protobuf/wkt";
import { timestampMs } from "@bufbuild/protobuf/wkt";
import type { Call as WireCall } from "../gen/parley/calls/v1/messages_pb";
import { CallState, EndReason } from "../gen/parley/calls/v1/messages_pb";
import type { PresenceChanged } from "../gen/parley/gateway/v1/messages_pb";
import { PresenceState } from "../gen/parley/gateway/v1/messages_pb";
import type { CallContent, Conversation as WireConversation, Message as WireMessage } from "../gen/parley/messaging/v1/messages_pb";
import { CallOutcome } from "../gen/parley/messaging/v1/messages_pb";
import type * as model from "./core/model";

const OUTCOMES: Partial<Record<CallOutcome, model.CallOutcome>> = {
  [CallOutcome.COMPLETED]: "completed",
  [CallOutcome.MISSED]: "missed",
  [CallOutcome.DECLINED]: "declined",
  [CallOutcome.CANCELLED]: "cancelled",
  [CallOutcome.BUSY]: "busy",
  [CallOutcome.FAILED]: "failed",
};

const STATES: Partial<Record<CallState, model.CallServerState>> = {
  [CallState.RINGING]: "ringing",
  [CallState.ACTIVE]: "active",
};

const END_REASONS: Partial<Record<EndReason, model.EndReason>> = {
  [EndReason.HUNG_UP]: "hung_up",
  [EndReason.MISSED]: "missed",
  [EndReason.DECLINED]: "declined",
  [EndReason.CANCELLED]: "cancelled",
  [EndReason.BUSY]: "busy",
  [EndReason.MEDIA_LOST]: "media_lost",
};

const millis = (time: Timestamp | undefined): number | undefined => time && timestampMs(time);

export function readConversation(wire: WireConversation): model.Conversation {
  return {
    id: wire.conversationId,
    members: wire.members.map((m) => ({ userId: m.userId, readSeq: Number(m.readSeq) })),
    lastSeq: Number(wire.lastSeq),
    createTimeMs: millis(wire.createTime) ?? 0,
  };
}

export function readMessage(wire: WireMessage): model.Message {
  return {
    id: wire.messageId,
    conversationId: wire.conversationId,
    seq: Number(wire.seq),
    senderId: wire.senderId,
    clientMessageId: wire.clientMessageId,
    sendTimeMs: millis(wire.sendTime) ?? 0,
    content: readContent(wire.content),
  };
}

function readContent(content: WireMessage["content"]): model.Content {
  switch (content.case) {
    case "text":
      return { kind: "text", text: content.value.text };
    case "call":
      return readCallContent(content.value);
    default:
      return { kind: "unknown" };
  }
}

function readCallContent(wire: CallContent): model.Content {
  const lengthS = Number(wire.length?.seconds ?? 0n) + (wire.length?.nanos ?? 0) / 1e9;
  const outcome = OUTCOMES[wire.outcome] ?? "completed";
  return { kind: "call", callId: wire.callId, video: wire.video, outcome, lengthS };
}

export function readCall(wire: WireCall): model.Call {
  return {
    id: wire.callId,
    conversationId: wire.conversationId,
    callerId: wire.callerId,
    video: wire.video,
    state: STATES[wire.state] ?? "ended",
    endReason: END_REASONS[wire.endReason],
    participants: wire.participants.map((p) => ({ userId: p.userId, deviceId: p.deviceId })),
    answerTimeMs: millis(wire.answerTime),
    endTimeMs: millis(wire.endTime),
    version: Number(wire.version),
  };
}

export function readPresence(wire: PresenceChanged): model.Presence {
  return { online: wire.state === PresenceState.ONLINE, lastSeenMs: millis(wire.lastSeenTime) };
}
