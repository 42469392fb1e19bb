import { AddAudience, type Conversation as WireConversation } from "./gen/parley/messaging/v1/messages_pb.js";
import type { Api } from "./api.js";
import type { Conversation, Invite, Role } from "./core/model.js";
import { asFailure, orFailure } from "./errors.js";
import { readConversation, readInvite, writeRole } from "./wire.js";

/** Takes the service's responses. */
interface Conversations {
  receiveConversation(conversation: Conversation): void;
  /** Runs a request of this user's to be out; the news of it is then no surprise. */
  leaving(conversationId: string, request: () => Promise<unknown>): Promise<void>;
}

/** Making groups and changing them, and what all members of a conversation share. Every method rejects with a Failure; its `line` is for people. */
export class Groups {
  constructor(
    private readonly api: Api,
    private readonly conversations: Conversations,
  ) {}

  /** Makes a group of this user's and returns its id. */
  create(title: string, userIds: readonly string[]): Promise<string> {
    const clientConversationId = crypto.randomUUID();
    return this.changed(this.api.messaging.createGroup({ clientConversationId, title, userIds: [...userIds] }));
  }

  async rename(conversationId: string, title: string): Promise<void> {
    await this.changed(this.api.messaging.updateGroup({ conversationId, title }));
  }

  /** Sets the picture; an empty reference takes it away. */
  async setPicture(conversationId: string, avatarRef: string): Promise<void> {
    await this.changed(this.api.messaging.updateGroup({ conversationId, avatarRef }));
  }

  /** Whether new members see earlier messages. */
  async setHistoryOpen(conversationId: string, historyOpen: boolean): Promise<void> {
    await this.changed(this.api.messaging.updateGroup({ conversationId, historyOpen }));
  }

  /** Whether only admins and the owner may add people. */
  async setAdminsAdd(conversationId: string, adminsAdd: boolean): Promise<void> {
    const addAudience = adminsAdd ? AddAudience.ADMINS : AddAudience.MEMBERS;
    await this.changed(this.api.messaging.updateGroup({ conversationId, addAudience }));
  }

  /** From when on new messages vanish, in any kind of conversation; 0 keeps them. */
  async setVanishing(conversationId: string, vanishAfterS: number): Promise<void> {
    const vanishAfter = { seconds: BigInt(vanishAfterS) };
    await this.changed(this.api.messaging.setVanishing({ conversationId, vanishAfter }));
  }

  /** Keeps a message in view for all members, or no longer, in any kind of conversation. */
  async pin(conversationId: string, seq: number, pinned: boolean): Promise<void> {
    await this.changed(this.api.messaging.setMessagePinned({ conversationId, seq: BigInt(seq), pinned }));
  }

  async add(conversationId: string, userIds: readonly string[]): Promise<void> {
    const clientRequestId = crypto.randomUUID();
    await this.changed(this.api.messaging.addMembers({ conversationId, userIds: [...userIds], clientRequestId }));
  }

  async remove(conversationId: string, userId: string): Promise<void> {
    await this.changed(this.api.messaging.removeMember({ conversationId, userId }));
  }

  async setRole(conversationId: string, userId: string, role: Role): Promise<void> {
    await this.changed(this.api.messaging.setMemberRole({ conversationId, userId, role: writeRole(role) }));
  }

  leave(conversationId: string): Promise<void> {
    return this.conversations.leaving(conversationId, () => orFailure(this.api.messaging.leaveGroup({ conversationId })));
  }

  /** A link's token; the older ones of the group are invalid from then on. */
  async createInvite(conversationId: string): Promise<Invite> {
    const { invite } = await orFailure(this.api.messaging.createInvite({ conversationId }));
    if (!invite) throw asFailure(new Error("no invite in the answer"));
    return readInvite(invite);
  }

  async revokeInvites(conversationId: string): Promise<void> {
    await orFailure(this.api.messaging.revokeInvites({ conversationId }));
  }

  /** Joins, and returns the conversation's id. */
  join(token: string): Promise<string> {
    return this.changed(this.api.messaging.joinByInvite({ token, clientRequestId: crypto.randomUUID() }));
  }

  private async changed(request: Promise<{ conversation?: WireConversation | undefined }>): Promise<string> {
    const { conversation } = await orFailure(request);
    if (!conversation) throw asFailure(new Error("no conversation in the answer"));
    this.conversations.receiveConversation(readConversation(conversation));
    return conversation.conversationId;
  }
}
