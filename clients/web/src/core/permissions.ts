import type { Conversation, Role } from "./model.js";

/** What one member may do to a conversation, as the service decides it; the interface offers nothing else. */
export interface Permissions {
  readonly rename: boolean;
  readonly add: boolean;
  readonly invite: boolean;
  readonly giveRoles: boolean;
  /** Ask for silence in a call, put people out of it, lock it, end it for all. */
  readonly moderateCalls: boolean;
  /** Pin messages for all members, and take pins away. */
  readonly pin: boolean;
  canRemove(userId: string): boolean;
}

export function roleOf(conversation: Conversation, userId: string): Role | undefined {
  return conversation.members.find((m) => m.userId === userId)?.role;
}

/** Admins may rename, invite and remove members; the owner may do all; members add people unless the group leaves that to admins. Either of two people pins. */
export function permissionsOf(conversation: Conversation, userId: string): Permissions {
  const role = roleOf(conversation, userId);
  const owner = role === "owner";
  const isAdmin = owner || role === "admin";
  return {
    rename: isAdmin,
    add: isAdmin || (role !== undefined && !conversation.adminsAdd),
    invite: isAdmin,
    giveRoles: owner,
    moderateCalls: isAdmin,
    pin: isAdmin || (role !== undefined && conversation.kind === "direct"),
    canRemove: (other) => other !== userId && (owner || (isAdmin && roleOf(conversation, other) === "member")),
  };
}
