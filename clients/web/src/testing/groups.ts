import { create } from "@bufbuild/protobuf";
import { type Duration, DurationSchema, timestampFromMs } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError } from "@connectrpc/connect";
import {
  AddAudience,
  type Conversation,
  ConversationKind,
  type Member,
  MemberRole,
  MemberSchema,
  type Message,
  PinnedMessageSchema,
  type PollVotes,
  PollVotesSchema,
  type Reaction,
  ReactionSchema,
  type SystemContent,
  SystemContentSchema,
  type TextContent,
} from "../gen/parley/messaging/v1/messages_pb.js";
import { type MockBackend, memberIds, type MockConversation } from "./backend.js";

type Place = { conversationId: string; seq: bigint };
type GroupChange = { title?: string | undefined; avatarRef?: string | undefined; historyOpen?: boolean | undefined; addAudience?: AddAudience | undefined };
type InGroup = { conversationId: string };

const member = (userId: string, role = MemberRole.MEMBER, seen = 0n): Member => create(MemberSchema, { userId, role, readSeq: seen, visibleAfterSeq: seen });

/** The mock's groups and changes of messages, without the checks of roles and times. */
export function groupsOf(backend: MockBackend, userId: string) {
  return { ...groupMethods(backend, userId), ...changeMethods(backend, userId) };
}

function groupMethods(backend: MockBackend, userId: string) {
  const line = (stored: MockConversation, event: SystemContent["event"]): void => {
    backend.post(stored.conversation.conversationId, userId, { case: "system", value: create(SystemContentSchema, { event }) });
  };
  const enter = (stored: MockConversation, userIds: readonly string[]): Conversation => {
    const fresh = userIds.filter((id) => !memberIds(stored).includes(id)).map((id) => member(id, MemberRole.MEMBER, stored.conversation.lastSeq));
    return backend.change(stored, { members: [...stored.conversation.members, ...fresh] });
  };
  const leave = (stored: MockConversation, out: string): Conversation =>
    backend.change(stored, { members: stored.conversation.members.filter((m) => m.userId !== out) }, { alsoTold: [out] });
  return {
    createGroup: ({ title, userIds }: { title: string; userIds: string[] }) => {
      backend.count("createGroup");
      const members = [member(userId, MemberRole.OWNER), ...userIds.map((id) => member(id))];
      const stored = backend.createConversation({ conversationId: backend.id("group"), kind: ConversationKind.GROUP, title, members });
      line(stored, { case: "created", value: { $typeName: "parley.messaging.v1.GroupCreated" } });
      return { conversation: stored.conversation };
    },
    updateGroup: ({ conversationId, title, avatarRef, historyOpen, addAudience }: InGroup & GroupChange) => {
      const stored = backend.stored(conversationId);
      const before = stored.conversation;
      const conversation = backend.change(stored, {
        title: title ?? before.title,
        avatarRef: avatarRef ?? before.avatarRef,
        historyOpen: historyOpen ?? before.historyOpen,
        addAudience: addAudience || before.addAudience,
      });
      if (title !== undefined) line(stored, { case: "renamed", value: { $typeName: "parley.messaging.v1.GroupRenamed", title } });
      return { conversation };
    },
    setVanishing: ({ conversationId, vanishAfter }: InGroup & { vanishAfter?: Duration | undefined }) => {
      const stored = backend.stored(conversationId);
      const after = vanishAfter ?? create(DurationSchema);
      const conversation = backend.change(stored, { vanishAfter: after });
      line(stored, { case: "vanishingChanged", value: { $typeName: "parley.messaging.v1.VanishingChanged", vanishAfter: after } });
      return { conversation };
    },
    setMessagePinned: ({ conversationId, seq, pinned }: InGroup & { seq: bigint; pinned: boolean }) => {
      const stored = backend.stored(conversationId);
      const others = stored.conversation.pinnedMessages.filter((pin) => pin.seq !== seq);
      if (pinned && others.length < stored.conversation.pinnedMessages.length) return { conversation: stored.conversation };
      const pin = create(PinnedMessageSchema, { seq, pinTime: timestampFromMs(backend.now()) });
      const conversation = backend.change(stored, { pinnedMessages: pinned ? [pin, ...others] : others });
      if (pinned) line(stored, { case: "messagePinned", value: { $typeName: "parley.messaging.v1.MessagePinned", seq } });
      return { conversation };
    },
    addMembers: ({ conversationId, userIds }: InGroup & { userIds: string[] }) => {
      const stored = backend.stored(conversationId);
      const conversation = enter(stored, userIds);
      line(stored, { case: "membersAdded", value: { $typeName: "parley.messaging.v1.MembersAdded", userIds } });
      return { conversation };
    },
    removeMember: ({ conversationId, userId: out }: InGroup & { userId: string }) => {
      const stored = backend.stored(conversationId);
      const conversation = leave(stored, out);
      line(stored, { case: "memberRemoved", value: { $typeName: "parley.messaging.v1.MemberRemoved", userId: out } });
      return { conversation };
    },
    leaveGroup: ({ conversationId }: InGroup) => {
      const stored = backend.stored(conversationId);
      leave(stored, userId);
      line(stored, { case: "memberLeft", value: { $typeName: "parley.messaging.v1.MemberLeft" } });
      return {};
    },
    setMemberRole: ({ conversationId, userId: of, role }: InGroup & { userId: string; role: MemberRole }) => {
      const stored = backend.stored(conversationId);
      const members = stored.conversation.members.map((m) => (m.userId === of ? { ...m, role } : m));
      const conversation = backend.change(stored, { members });
      line(stored, { case: "roleChanged", value: { $typeName: "parley.messaging.v1.RoleChanged", userId: of, role } });
      return { conversation };
    },
    createInvite: ({ conversationId }: InGroup) => {
      const token = backend.id("invite");
      backend.invites.set(token, conversationId);
      return { invite: { token, conversationId, expireTime: timestampFromMs(Date.now() + 604_800_000) } };
    },
    revokeInvites: ({ conversationId }: InGroup) => {
      for (const [token, id] of backend.invites) if (id === conversationId) backend.invites.delete(token);
      return {};
    },
    joinByInvite: ({ token }: { token: string }) => {
      const id = backend.invites.get(token);
      if (!id) throw new ConnectError("no such invite", Code.NotFound);
      const stored = backend.stored(id);
      const conversation = enter(stored, [userId]);
      line(stored, { case: "memberJoined", value: { $typeName: "parley.messaging.v1.MemberJoined" } });
      return { conversation };
    },
  };
}

function changeMethods(backend: MockBackend, userId: string) {
  const held = ({ conversationId, seq }: Place): Message => {
    const message = backend.stored(conversationId).messages[Number(seq) - 1];
    if (!message) throw new ConnectError("no such message", Code.NotFound);
    return message;
  };
  const change = ({ conversationId, seq }: Place, next: Partial<Message>) => ({ message: backend.changeMessage(conversationId, Number(seq), next) });
  return {
    editMessage: (request: Place & { text?: TextContent | undefined }) => {
      if (!request.text) throw new ConnectError("no text", Code.InvalidArgument);
      const before = held(request);
      backend.edits.record(before);
      return change(request, { content: { case: "text", value: request.text }, editCount: before.editCount + 1 });
    },
    listEdits: (request: Place) => ({ edits: backend.edits.of(held(request)) }),
    unsendMessage: (request: Place) =>
      change(request, { content: { case: "unsent", value: { $typeName: "parley.messaging.v1.Unsent" } }, reactions: [], pollVotes: [], editCount: 0, replyToSeq: 0n }),
    setReaction: (request: Place & { emoji: string; present: boolean }) =>
      change(request, { reactions: reacted(held(request).reactions, userId, request.emoji, request.present) }),
    votePoll: (request: Place & { optionIndexes: number[] }) => {
      const { content, pollVotes } = held(request);
      if (content.case !== "poll") throw new ConnectError("no poll", Code.FailedPrecondition);
      return change(request, { pollVotes: voted(pollVotes, userId, content.value.options.length, request.optionIndexes) });
    },
  };
}

function voted(votes: readonly PollVotes[], userId: string, options: number, chosen: readonly number[]): PollVotes[] {
  return Array.from({ length: options }, (_, optionIndex) => {
    const others = votes.find((v) => v.optionIndex === optionIndex)?.userIds.filter((id) => id !== userId) ?? [];
    return create(PollVotesSchema, { optionIndex, userIds: chosen.includes(optionIndex) ? [...others, userId] : others });
  }).filter(({ userIds }) => userIds.length > 0);
}

function reacted(reactions: readonly Reaction[], userId: string, emoji: string, present: boolean): Reaction[] {
  const before = reactions.find((r) => r.emoji === emoji)?.userIds.filter((id) => id !== userId) ?? [];
  const userIds = present ? [...before, userId] : before;
  const others = reactions.filter((r) => r.emoji !== emoji);
  return userIds.length > 0 ? [...others, create(ReactionSchema, { emoji, userIds })] : others;
}
