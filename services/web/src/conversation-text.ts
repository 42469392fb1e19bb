import type { Attachment, Conversation, GroupEvent, Message, Role } from "@parley/client";
import { isUserContent, displayName } from "@parley/client";
import { callLine, lengthLine, voiceLine } from "./format";
import { listOf, made, t } from "./text";

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
  /** A group's, as the network refers to it; empty for none. A person's comes from the network. */
  readonly picture: string | undefined;
}

export function titleOf(conversation: Conversation, { selfId, nameOf }: Viewer): ConversationTitle {
  if (conversation.kind === "group") return { id: conversation.id, name: displayName(conversation.title), peer: undefined, picture: conversation.avatarRef };
  const peer = conversation.members.find((m) => m.userId !== selfId)?.userId ?? selfId;
  return { id: peer, name: nameOf(peer), peer, picture: undefined };
}

/** `Alice, Bob and Carol`; oneself is `you`, as the sentence needs it. */
export function listNames(userIds: readonly string[], { selfId, nameOf }: Viewer, you = t("you.among")): string {
  return listOf(userIds.map((id) => (id === selfId ? made(you) : nameOf(id))));
}

/** What happened to a conversation, as it tells it: whole sentences, since grammar differs with who did it to whom. */
export function groupLine(event: GroupEvent, actorId: string, viewer: Viewer): string {
  const own = actorId === viewer.selfId;
  const who = viewer.nameOf(actorId);
  switch (event.kind) {
    case "created":
      return own ? t("event.created.you") : t("event.created", { who });
    case "left":
      return own ? t("event.left.you") : t("event.left", { who });
    case "joined":
      return own ? t("event.joined.you") : t("event.joined", { who });
    case "added":
      return addedLine(event.userIds, actorId, viewer);
    case "removed":
      return personLine(REMOVED, event.userId, actorId, viewer);
    case "renamed":
      return own ? t("event.renamed.you", { title: event.title }) : t("event.renamed", { who, title: event.title });
    case "role_changed":
      return personLine(ROLE_GIVEN[event.role], event.userId, actorId, viewer);
    case "vanishing_changed":
      return vanishingLine(event.vanishAfterS, actorId, viewer);
    case "pinned":
      return own ? t("event.pinned.you") : t("event.pinned", { who });
  }
}

function addedLine(userIds: readonly string[], actorId: string, viewer: Viewer): string {
  const names = made(listNames(userIds, viewer, t("you.object")));
  const who = viewer.nameOf(actorId);
  if (actorId === viewer.selfId) return t("event.added.you", { names });
  return userIds.length === 1 && userIds[0] === viewer.selfId ? t("event.added.me", { who }) : t("event.added", { who, names });
}

function vanishingLine(afterS: number, actorId: string, { selfId, nameOf }: Viewer): string {
  const who = nameOf(actorId);
  const own = actorId === selfId;
  if (afterS === 0) return own ? t("event.vanish.off.you") : t("event.vanish.off", { who });
  const length = made(lengthLine(afterS));
  return own ? t("event.vanish.you", { length }) : t("event.vanish", { who, length });
}

/** One sentence for each of: somebody to somebody, the viewer to somebody, somebody to the viewer, and the viewer to themselves. */
interface PersonLines {
  readonly other: "event.removed" | "event.member" | "event.admin" | "event.owner";
  readonly byMe: "event.removed.you" | "event.member.you" | "event.admin.you" | "event.owner.you";
  readonly toMe: "event.removed.me" | "event.member.me" | "event.admin.me" | "event.owner.me";
  /** Where it can happen. */
  readonly self: "event.member.self" | "event.left.you" | "event.admin.self" | "event.owner.self";
}

const REMOVED: PersonLines = { other: "event.removed", byMe: "event.removed.you", toMe: "event.removed.me", self: "event.left.you" };
const ROLE_GIVEN: Record<Role, PersonLines> = {
  member: { other: "event.member", byMe: "event.member.you", toMe: "event.member.me", self: "event.member.self" },
  admin: { other: "event.admin", byMe: "event.admin.you", toMe: "event.admin.me", self: "event.admin.self" },
  owner: { other: "event.owner", byMe: "event.owner.you", toMe: "event.owner.me", self: "event.owner.self" },
};

function personLine(lines: PersonLines, userId: string, actorId: string, { selfId, nameOf }: Viewer): string {
  const [who, name] = [nameOf(actorId), nameOf(userId)];
  if (actorId !== selfId) return userId === selfId ? t(lines.toMe, { who }) : t(lines.other, { who, name });
  return userId === selfId ? t(lines.self) : t(lines.byMe, { name });
}

/** A message in one line, without its author. */
export function messageLine(message: Pick<Message, "content" | "senderId" | "attachments"> & Partial<Pick<Message, "viewOnce">>, viewer: Viewer): string {
  const { content, senderId, attachments } = message;
  if (message.viewOnce) return onceLine(message);
  switch (content.kind) {
    case "text":
      return displayName(content.text).replace(/\s+/g, " ") || attachmentsLine(attachments);
    case "voice":
      return voiceLine(content.lengthS);
    case "poll":
      return t("message.poll", { question: displayName(content.question).replace(/\s+/g, " ") });
    case "sticker":
      return t("message.sticker", { description: displayName(content.description).replace(/\s+/g, " ") });
    case "call":
      return callLine(content, senderId === viewer.selfId);
    case "system":
      return groupLine(content.event, senderId, viewer);
    case "unsent":
      return t("message.unsent");
    case "expired":
      return t("message.vanished");
    case "unknown":
      return t("message.unknown");
  }
}

/** What can be opened once, in words. */
export function onceLine({ content, attachments }: Pick<Message, "content" | "attachments">): string {
  if (content.kind === "voice") return t("once.voice");
  const [first] = attachments;
  if (!first) return t("once");
  return first.contentType.startsWith("video/") ? t("once.video") : t("once.picture");
}

/** Files without a text, in words. */
export function attachmentsLine(attachments: readonly Attachment[]): string {
  const [first] = attachments;
  if (!first) return "";
  const pictures = attachments.filter((a) => a.contentType.startsWith("image/")).length;
  if (pictures === attachments.length) return t("message.pictures", { count: pictures });
  return attachments.length === 1 ? displayName(first.fileName) : t("message.files", { count: attachments.length });
}

/** Before a message in the list: who wrote it, where that is not plain. */
export function previewAuthor({ content, senderId }: Message, kind: Conversation["kind"], viewer: Viewer): string {
  if (!isUserContent(content)) return "";
  if (senderId === viewer.selfId) return t("preview.you");
  return kind === "group" ? t("preview.by", { name: firstName(viewer.nameOf(senderId)) }) : "";
}

/** The people who type, for a line below their conversation. */
export function typingLine(userIds: readonly string[], kind: Conversation["kind"], { nameOf }: Viewer): string {
  if (kind === "direct") return t("typing.here");
  if (userIds.length > 2) return t("typing.several");
  return t("typing.names", { count: userIds.length, names: made(listOf(userIds.map((id) => firstName(nameOf(id))))) });
}

/** The people who reacted, for screen readers and as a tooltip. */
export function reactionLine(emoji: string, userIds: readonly string[], viewer: Viewer): string {
  const others = userIds.filter((id) => id !== viewer.selfId);
  const ordered = others.length < userIds.length ? [...others, viewer.selfId] : others;
  return t("reactions.by", { emoji: made(emoji), names: made(listNames(ordered, viewer)) });
}

function firstName(name: string): string {
  return name.split(" ")[0] ?? name;
}
