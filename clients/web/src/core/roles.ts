import type { Conversation, Role } from "./model.js";

/** What one member may do to a group, as the service decides it; the interface offers nothing else. */
export interface Rights {
  readonly rename: boolean;
  readonly add: boolean;
  readonly invite: boolean;
  readonly giveRoles: boolean;
  /** Ask for silence in a call, put people out of it, lock it, end it for all. */
  readonly leadCalls: boolean;
  mayRemove(userId: string): boolean;
}

export function roleOf(conversation: Conversation, userId: string): Role | undefined {
  return conversation.members.find((m) => m.userId === userId)?.role;
}

/** Admins may rename, invite and remove members; the owner may do all; members add people unless the group leaves that to admins. */
export function rightsOf(conversation: Conversation, userId: string): Rights {
  const role = roleOf(conversation, userId);
  const owner = role === "owner";
  const leads = owner || role === "admin";
  return {
    rename: leads,
    add: leads || (role !== undefined && !conversation.adminsAdd),
    invite: leads,
    giveRoles: owner,
    leadCalls: leads,
    mayRemove: (other) => other !== userId && (owner || (leads && roleOf(conversation, other) === "member")),
  };
}
