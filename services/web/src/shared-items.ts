import { useEffect, useRef, useState } from "preact/hooks";
import type { Attachment, ConversationView, Failure, Message, ParleyClient, SharedKind } from "@parley/client";
import { type LinkTarget, targetOf } from "@parley/client";
import type { Problem } from "./text";

/** A file or a link of a message. */
export type SharedItem = { readonly key: string; readonly message: Message } & ({ readonly attachment: Attachment } | { readonly link: LinkTarget });

interface Pages {
  readonly messages: readonly Message[];
  readonly nextPageToken: string;
  readonly state: "running" | "done";
  readonly problem: Problem;
}

const NOTHING: Pages = { messages: [], nextPageToken: "", state: "running", problem: undefined };

/** What was sent in a conversation, of one kind that stays as it is: the first page at once, and more when it is asked for. */
export function useShared(client: ParleyClient, conversationId: string, kind: SharedKind) {
  const [pages, setPages] = useState<Pages>(NOTHING);
  const gone = useRef(false);
  const asking = useRef(false);
  const show = (next: Pages): void => {
    if (!gone.current) setPages(next);
  };
  const more = async (): Promise<void> => {
    if (asking.current) return;
    asking.current = true;
    show({ ...pages, state: "running", problem: undefined });
    let { messages, nextPageToken } = pages;
    try {
      // A page may be empty where messages vanish.
      do {
        const page = await client.listShared(conversationId, kind, nextPageToken);
        messages = [...messages, ...page.messages];
        nextPageToken = page.nextPageToken;
      } while (nextPageToken && messages.length === pages.messages.length && !gone.current);
      show({ messages, nextPageToken, state: "done", problem: undefined });
    } catch (error) {
      show({ messages, nextPageToken, state: "done", problem: error as Failure });
    }
    asking.current = false;
  };
  useEffect(() => {
    void more();
    return () => void (gone.current = true);
  }, []);
  return { ...pages, more };
}

/**
 * What is shown of the messages that were listed: as this device knows them since, with those that came after they were
 * listed, and without what has vanished. The newest first.
 */
export function itemsOf(kind: SharedKind, listed: readonly Message[], { messages }: ConversationView, afterSeq: number, nowMs: number): SharedItem[] {
  const found = new Map(listed.map((message) => [message.seq, message]));
  for (const message of messages) {
    const known = found.get(message.seq);
    if (known ? message.revision > known.revision : message.seq > afterSeq) found.set(message.seq, message);
  }
  const shown = [...found.values()].filter(({ expireTimeMs }) => expireTimeMs === undefined || expireTimeMs > nowMs);
  return shown.sort((a, b) => b.seq - a.seq).flatMap((message) => itemsIn(kind, message));
}

function itemsIn(kind: SharedKind, message: Message): SharedItem[] {
  const { content, attachments } = message;
  if (kind === "link") {
    const entities = content.kind === "text" ? content.entities : [];
    const targets = entities.map((entity) => (entity.kind === "link" ? targetOf("", entity.url) : undefined));
    return targets.flatMap((link, i) => (link ? [{ key: `${message.seq} ${i}`, message, link }] : []));
  }
  const wanted = attachments.filter(({ contentType }) => (content.kind === "voice" ? "voice" : kindOf(contentType)) === kind);
  return wanted.map((attachment) => ({ key: `${message.seq} ${attachment.id}`, message, attachment }));
}

function kindOf(contentType: string): SharedKind {
  return /^(image|video)\//.test(contentType) ? "media" : "file";
}
