import type { ShownNotice } from "@parley/client/notices";
import { isolatedIn } from "../direction";
import type { NoticeLines, Told } from "../notice-told";

/** What `showNotification` takes. */
export interface NoticeView {
  readonly title: string;
  readonly options: NotificationOptions & { readonly renotify: boolean; readonly timestamp: number };
}

/** What a click on the notice needs. */
export interface NoticeData {
  readonly conversationId: string;
}

/** A name, and so the same in every language. */
const APP = "Parley";

/**
 * A notice as the system shows it: in a direct conversation under the other's name, in a group's under the group's. Where names
 * and texts were left out it says only what came; without the page's words not even that.
 */
export function viewOf(notice: ShownNotice, told: Told | undefined): NoticeView {
  const name = nameOf(notice.fromUserId, told);
  const data: NoticeData = { conversationId: notice.conversationId };
  return {
    title: notice.title || name || APP,
    options: {
      body: told ? bodyOf(notice, name, told) : notice.text,
      tag: notice.thread,
      // Of one conversation the newest stands, and is heard unless it is to be quiet.
      renotify: !notice.quiet,
      silent: notice.quiet,
      requireInteraction: notice.kind === "call",
      timestamp: notice.timeMs,
      icon: "/icon-192.png",
      badge: "/badge-96.png",
      lang: told?.language ?? "",
      dir: told?.direction ?? "auto",
      data,
    },
  };
}

function nameOf(userId: string, told: Told | undefined): string {
  return told && Object.hasOwn(told.names, userId) ? (told.names[userId] ?? userId) : userId;
}

function bodyOf({ kind, text, title, video }: ShownNotice, name: string, { lines, direction }: Told): string {
  const fill = (line: keyof NoticeLines, said: string): string => filled(lines[line] ?? "{text}", { name, text: said }, direction === "rtl");
  switch (kind) {
    case "call":
      return video ? lines.video : lines.voice;
    case "missed_call":
      return lines.missed;
    case "request":
      return lines.request;
    case "reaction":
      return name ? fill("reactionBy", "") : lines.reaction;
    case "mention":
      return name && text ? fill("mentionBy", text) : lines.mention;
    case "reply":
      return name && text ? fill("replyBy", text) : lines.reply;
    case "call_reminder":
      return text && lines.callReminder ? fill("callReminder", text) : text || lines.message;
    case "call_begins":
      return text && lines.callBegins ? fill("callBegins", text) : text || lines.message;
    case "message":
      // Under a group's name it says who wrote.
      return name && title ? fill("by", text || lines.message) : text || lines.message;
  }
}

function filled(line: string, values: Readonly<Record<string, string>>, isRightToLeft: boolean): string {
  return line.replace(/\{(\w+)\}/g, (_, place: string) => isolatedIn(values[place] ?? "", isRightToLeft));
}
