import type { MessageInitShape } from "@bufbuild/protobuf";
import type { Duration, Timestamp } from "@bufbuild/protobuf/wkt";
import type { Participant, Call as WireCall } from "./gen/parley/calls/v1/messages_pb.js";
import { CallState, EndReason, ParticipantState } from "./gen/parley/calls/v1/messages_pb.js";
import type { PresenceChanged } from "./gen/parley/gateway/v1/messages_pb.js";
import { PresenceState } from "./gen/parley/gateway/v1/messages_pb.js";
import { gatherReactions } from "./core/emoji.js";
import { displayName } from "./core/display-name.js";
import type {
  Attachment as WireAttachment,
  CallContent,
  ConversationDelta,
  Conversation as WireConversation,
  Invite as WireInvite,
  Message as WireMessage,
  OwnState as WireOwnState,
  PollContent,
  PollVotes,
  SystemContent,
  TextEntity,
} from "./gen/parley/messaging/v1/messages_pb.js";
import { AddAudience, CallOutcome, ConversationKind, MemberRole, RequestState, type TextContentSchema } from "./gen/parley/messaging/v1/messages_pb.js";
import type { Delta } from "./core/conversation-store.js";
import type * as model from "./core/model.js";

const OUTCOMES: Partial<Record<CallOutcome, model.CallOutcome>> = {
  [CallOutcome.COMPLETED]: "completed",
  [CallOutcome.MISSED]: "missed",
  [CallOutcome.DECLINED]: "declined",
  [CallOutcome.CANCELLED]: "cancelled",
  [CallOutcome.BUSY]: "busy",
  [CallOutcome.FAILED]: "failed",
};

const PARTICIPANT_STATES: Partial<Record<ParticipantState, model.ParticipantState>> = {
  [ParticipantState.RINGING]: "ringing",
  [ParticipantState.JOINED]: "joined",
  [ParticipantState.NOT_JOINED]: "out",
  [ParticipantState.LEFT]: "left",
  [ParticipantState.REMOVED]: "removed",
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

const ROLES: Partial<Record<MemberRole, model.Role>> = {
  [MemberRole.ADMIN]: "admin",
  [MemberRole.OWNER]: "owner",
};

const readRole = (role: MemberRole): model.Role => ROLES[role] ?? "member";

const REQUESTS: Partial<Record<RequestState, model.RequestState>> = {
  [RequestState.PENDING]: "pending",
  [RequestState.DECLINED]: "declined",
};

export const millis = (time: Timestamp | undefined): number | undefined => time && Number(time.seconds) * 1000 + Math.round(time.nanos / 1e6);

/** What requests carry of a time. */
export const writeTime = (ms: number): { seconds: bigint; nanos: number } => ({ seconds: BigInt(Math.floor(ms / 1000)), nanos: (((ms % 1000) + 1000) % 1000) * 1e6 });

export const seconds = (length: Duration | undefined): number => Number(length?.seconds ?? 0n) + (length?.nanos ?? 0) / 1e9;

export function readConversation(wire: WireConversation): model.Conversation {
  return {
    id: wire.conversationId,
    kind: wire.kind === ConversationKind.GROUP ? "group" : "direct",
    title: displayName(wire.title),
    members: wire.members.map((m) => ({
      userId: m.userId,
      readSeq: Number(m.readSeq),
      deliveredSeq: Math.max(Number(m.deliveredSeq), Number(m.readSeq)),
      role: readRole(m.role),
      visibleAfterSeq: Number(m.visibleAfterSeq),
    })),
    lastSeq: Number(wire.lastSeq),
    createTimeMs: millis(wire.createTime) ?? 0,
    revision: Number(wire.revision),
    avatarRef: wire.avatarRef,
    historyOpen: wire.historyOpen,
    adminsAdd: wire.addAudience === AddAudience.ADMINS,
    vanishAfterS: seconds(wire.vanishAfter),
    historyStartSeq: Number(wire.historyStartSeq),
    pinned: wire.pinnedMessages.map(({ seq, pinTime }) => ({ seq: Number(seq), pinTimeMs: millis(pinTime) ?? 0 })),
  };
}

export function readOwnState(wire: WireOwnState): model.OwnState {
  return {
    pinned: wire.pinned,
    archived: wire.archived,
    muteEndMs: millis(wire.muteEndTime),
    markedUnread: wire.markedUnread,
    unreadCount: wire.unreadCount,
    readSeq: Number(wire.readSeq),
    request: REQUESTS[wire.request] ?? "none",
  };
}

/** Undefined when there is no conversation in it. */
export function readDelta(wire: ConversationDelta): Delta | undefined {
  if (!wire.conversation) return undefined;
  return {
    conversation: readConversation(wire.conversation),
    messages: wire.messages.map(readMessage),
    changed: wire.changedMessages.map(readMessage),
    revision: Number(wire.cursor?.revision ?? wire.conversation.revision),
    own: wire.ownState && readOwnState(wire.ownState),
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
    content: readContent(wire.content, wire.pollVotes),
    replyToSeq: Number(wire.replyToSeq),
    reactions: gatherReactions(wire.reactions),
    attachments: wire.attachments.map(readAttachment),
    edited: wire.editCount > 0,
    forwarded: wire.forwarded,
    viewOnce: wire.viewOnce,
    openedBy: wire.openedByUserIds,
    expireTimeMs: millis(wire.expireTime),
    revision: Number(wire.revision),
  };
}

export function readAttachment(wire: WireAttachment): model.Attachment {
  const { attachmentId: id, fileName, contentType, width, height } = wire;
  return { id, fileName: displayName(fileName), contentType, sizeBytes: Number(wire.sizeBytes), width, height };
}

/** `votes`: of a poll that was sent. */
export function readContent(content: WireMessage["content"], votes: readonly PollVotes[] = []): model.Content {
  switch (content.case) {
    case "text": {
      const { text, entities, preview, masked } = content.value;
      return { kind: "text", text, preview, entities: entities.flatMap(readEntity), ...(masked && { masked }) };
    }
    case "call":
      return readCallContent(content.value);
    case "voice":
      return { kind: "voice", lengthS: seconds(content.value.length) };
    case "poll":
      return readPoll(content.value, votes);
    case "sticker": {
      const { url, width, height, description } = content.value;
      return { kind: "sticker", url, width, height, description };
    }
    case "system":
      return readSystemContent(content.value.event);
    case "unsent":
      return { kind: "unsent" };
    case "expired":
      return { kind: "expired" };
    default:
      return { kind: "unknown" };
  }
}

function readPoll({ question, options, multiple }: PollContent, votes: readonly PollVotes[]): model.Poll {
  const chosenBy = (index: number): readonly string[] => votes.find(({ optionIndex }) => optionIndex === index)?.userIds ?? [];
  return { kind: "poll", question, options: options.map((text, index) => ({ text, userIds: chosenBy(index) })), multiple };
}

/** None for a kind of a newer Parley: the text is there all the same. */
function readEntity({ offset, length, entity }: TextEntity): model.Entity[] {
  if (entity.case === "mentionUserId") return [{ offset, length, kind: "mention", userId: entity.value }];
  if (entity.case === "linkUrl") return [{ offset, length, kind: "link", url: entity.value }];
  return [];
}

function readSystemContent(event: SystemContent["event"]): model.Content {
  switch (event.case) {
    case "created":
      return { kind: "system", event: { kind: "created" } };
    case "memberLeft":
      return { kind: "system", event: { kind: "left" } };
    case "memberJoined":
      return { kind: "system", event: { kind: "joined" } };
    case "membersAdded":
      return { kind: "system", event: { kind: "added", userIds: event.value.userIds } };
    case "memberRemoved":
      return { kind: "system", event: { kind: "removed", userId: event.value.userId } };
    case "renamed":
      return { kind: "system", event: { kind: "renamed", title: displayName(event.value.title) } };
    case "roleChanged":
      return { kind: "system", event: { kind: "role_changed", userId: event.value.userId, role: readRole(event.value.role) } };
    case "vanishingChanged":
      return { kind: "system", event: { kind: "vanishing_changed", vanishAfterS: seconds(event.value.vanishAfter) } };
    case "messagePinned":
      return { kind: "system", event: { kind: "pinned", seq: Number(event.value.seq) } };
    default:
      return { kind: "unknown" };
  }
}

export function readInvite(wire: WireInvite): model.Invite {
  return { token: wire.token, expireTimeMs: millis(wire.expireTime) ?? 0 };
}

/** A text as requests carry it. */
export function writeText({ text, entities = [], preview }: model.WrittenText): MessageInitShape<typeof TextContentSchema> {
  return {
    text,
    preview,
    entities: entities.map(({ offset, length, ...entity }) => ({
      offset,
      length,
      entity: entity.kind === "mention" ? { case: "mentionUserId", value: entity.userId } : { case: "linkUrl", value: entity.url },
    })),
  };
}

export function writeRole(role: model.Role): MemberRole {
  return { member: MemberRole.MEMBER, admin: MemberRole.ADMIN, owner: MemberRole.OWNER }[role];
}

function readCallContent(wire: CallContent): model.Content {
  const outcome = OUTCOMES[wire.outcome] ?? "completed";
  return { kind: "call", callId: wire.callId, video: wire.video, outcome, lengthS: seconds(wire.length) };
}

export function readCall(wire: WireCall): model.Call {
  return {
    id: wire.callId,
    conversationId: wire.conversationId,
    callerId: wire.callerId,
    video: wire.video,
    state: STATES[wire.state] ?? "ended",
    endReason: END_REASONS[wire.endReason],
    participants: wire.participants.map(readParticipant),
    answerTimeMs: millis(wire.answerTime),
    endTimeMs: millis(wire.endTime),
    version: Number(wire.version),
    group: wire.group,
    locked: wire.locked,
    mediaEpoch: Number(wire.mediaMove?.mediaEpoch ?? 0),
    lobby: wire.lobby.map(({ userId, linkId, knockTime }) => ({ userId, linkId, knockTimeMs: millis(knockTime) ?? 0 })),
  };
}

function readParticipant({ userId, deviceId, state, handRaiseTime, muteRequestTime, guest }: Participant): model.CallParticipant {
  // An older server has no states: a participant without a device is ringing.
  const standing = PARTICIPANT_STATES[state] ?? (deviceId ? "joined" : "ringing");
  return { userId, deviceId, state: standing, handRaiseTimeMs: millis(handRaiseTime), muteRequestTimeMs: millis(muteRequestTime), guest };
}

export function readPresence(wire: PresenceChanged): model.Presence {
  return { online: wire.state === PresenceState.ONLINE, lastSeenMs: millis(wire.lastSeenTime) };
}
