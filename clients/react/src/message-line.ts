import type { Message } from "@parley/client";
import { duration, list } from "./format.js";
import type { Labels } from "./labels.js";

/** Whom a line speaks of, and how it says so. */
export interface Speaking {
  readonly labels: Labels;
  readonly locale: string | undefined;
  readonly selfId: string;
  readonly nameOf: (userId: string) => string;
}

/** A message in one line: for previews, quotes, and what is no bubble. */
export function messageLine({ content, attachments, senderId, viewOnce }: Message, { labels, locale, selfId, nameOf }: Speaking): string {
  if (viewOnce) return labels.viewOnce;
  switch (content.kind) {
    case "text":
      return content.text || (attachments.length === 1 ? (attachments[0]?.fileName ?? "") : labels.files(attachments.length));
    case "voice":
      return labels.voice(duration(content.lengthS, locale));
    case "poll":
      return labels.poll(content.question);
    case "sticker":
      return labels.sticker(content.description);
    case "call":
      return labels.callRecord(content.outcome, senderId === selfId, content.video, duration(content.lengthS, locale));
    case "system":
      return labels.groupEvent(content.event, nameOf(senderId), nameOf);
    case "unsent":
      return labels.unsent;
    case "unknown":
      return labels.newerKind;
    case "expired":
      return "";
  }
}

/** The line about who writes; of a direct conversation nobody needs the name, but a screen reader. */
export function typingLine(names: readonly string[], { labels, locale }: Pick<Speaking, "labels" | "locale">): string {
  return names.length > 0 ? labels.typing(list(names, locale), names.length) : "";
}
