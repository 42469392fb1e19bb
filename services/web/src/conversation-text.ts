import type { Attachment, Conversation, GroupEvent, Message } from "@parley/client";
import { isUserContent, displayName } from "@parley/client";
import { callLine, lengthLine, voiceLine } from "./format";

/** The user who views the page, and the names of people. */
export interface Viewer {
  readonly selfId: string;
  readonly nameOf: (userId: string) => string;
}

/** A conversation's name and picture. */
export interface ConversationTitle {
  /** Determines the colour of the picture. */
  readonly id: string;
  readonly name: string;
  /** The other one of a direct conversation. */
  readonly peer: string | undefined;
  /** The network's reference of the picture; empty for none. */
  readonly picture: string;
}

export function titleOf(conversation: Conversation, { selfId, nameOf }: Viewer): ConversationTitle {
  if (conversation.kind === "group") return { id: conversation.id, name: conversation.title, peer: undefined, picture: conversation.avatarRef };
  const peer = conversation.members.find((m) => m.userId !== selfId)?.userId ?? selfId;
  return { id: peer, name: nameOf(peer), peer, picture: "" };
}

/** `Alice, Bob and Carol`; oneself is "you". */
export function listNames(userIds: readonly string[], { selfId, nameOf }: Viewer): string {
  const names = userIds.map((id) => (id === selfId ? "you" : nameOf(id)));
  if (names.length < 2) return names[0] ?? "";
  return `${names.slice(0, -1).join(", ")} and ${names.at(-1)}`;
}

/** What happened to a group, as the conversation tells it. */
export function groupLine(event: GroupEvent, actorId: string, viewer: Viewer): string {
  const who = actorId === viewer.selfId ? "You" : viewer.nameOf(actorId);
  const them = (userId: string): string => listNames([userId], viewer);
  switch (event.kind) {
    case "created":
      return `${who} created the group`;
    case "left":
      return `${who} left`;
    case "joined":
      return `${who} joined by an invite link`;
    case "added":
      return `${who} added ${listNames(event.userIds, viewer)}`;
    case "removed":
      return `${who} removed ${them(event.userId)}`;
    case "renamed":
      return `${who} renamed the group to “${event.title}”`;
    case "role_changed":
      if (event.role === "member") return `${who} took the admin role from ${them(event.userId)}`;
      return `${who} made ${them(event.userId)} ${event.role === "owner" ? "the owner" : "an admin"}`;
    case "vanishing_changed":
      if (event.vanishAfterS === 0) return `${who} turned vanishing messages off`;
      return `${who} set new messages to vanish after ${lengthLine(event.vanishAfterS)}`;
  }
}

/** A message in one line, without its author. */
export function messageLine({ content, senderId, attachments }: Message, viewer: Viewer): string {
  switch (content.kind) {
    case "text":
      return displayName(content.text).replace(/\s+/g, " ") || attachmentsLine(attachments);
    case "voice":
      return voiceLine(content.lengthS);
    case "call":
      return callLine(content, senderId === viewer.selfId);
    case "system":
      return groupLine(content.event, senderId, viewer);
    case "unsent":
      return "Message unsent";
    case "expired":
      return "Message vanished";
    case "unknown":
      return "Message";
  }
}

/** Files without a text, in words. */
export function attachmentsLine(attachments: readonly Attachment[]): string {
  const [first] = attachments;
  if (!first) return "";
  const pictures = attachments.filter((a) => a.contentType.startsWith("image/")).length;
  if (pictures === attachments.length) return pictures === 1 ? "Picture" : `${pictures} pictures`;
  return attachments.length === 1 ? first.fileName : `${attachments.length} files`;
}

/** A message as one line of the list; in a group with its author. */
export function previewLine(message: Message, kind: Conversation["kind"], viewer: Viewer): string {
  const line = messageLine(message, viewer);
  if (!isUserContent(message.content)) return line;
  if (message.senderId === viewer.selfId) return `You: ${line}`;
  return kind === "group" ? `${firstName(viewer.nameOf(message.senderId))}: ${line}` : line;
}

/** The people who type, for a line below their conversation. */
export function typingLine(userIds: readonly string[], kind: Conversation["kind"], { nameOf }: Viewer): string {
  if (kind === "direct") return "typing…";
  if (userIds.length > 2) return "several people are typing…";
  return `${userIds.map((id) => firstName(nameOf(id))).join(" and ")} ${userIds.length === 1 ? "is" : "are"} typing…`;
}

/** The people who reacted, for screen readers and as a tooltip. */
export function reactionLine(emoji: string, userIds: readonly string[], viewer: Viewer): string {
  const others = userIds.filter((id) => id !== viewer.selfId);
  const ordered = others.length < userIds.length ? [...others, viewer.selfId] : others;
  return `${emoji} by ${listNames(ordered, viewer)}`;
}

function firstName(name: string): string {
  return name.split(" ")[0] ?? name;
}
