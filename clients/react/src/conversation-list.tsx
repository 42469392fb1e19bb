import type { ConversationView, Folder } from "@parley/client";
import { type FocusEvent, type KeyboardEvent, memo, type ReactElement, useCallback, useEffect, useMemo, useState } from "react";
import { Avatar } from "./avatar.js";
import { classes } from "./class-names.js";
import { useConversations, useFace } from "./conversation-hooks.js";
import { number, shortMoment } from "./format.js";
import { useDraft, useNames, useNow, usePresence, useTyping } from "./hooks.js";
import type { Labels } from "./labels.js";
import { messageLine, typingLine } from "./message-line.js";
import { useLabels, useLocale, useParley } from "./provider.js";
import { useWindow } from "./use-window.js";

export interface ConversationListProps {
  /** The id of the open conversation. */
  readonly selected?: string | undefined;
  readonly onSelect: (conversationId: string) => void;
  /** The inbox without it. */
  readonly folder?: Folder;
  readonly labels?: Partial<Labels>;
  readonly className?: string;
}

/** Dates move on this often. */
const DATES_MS = 60_000;
/** What ARIA says of a list that goes on at the service. */
const UNKNOWN_COUNT = -1;

/** The user's conversations. The arrow keys, Home and End move; Enter and space open. */
export function ConversationList({ selected, onSelect, folder = "inbox", labels: own, className }: ConversationListProps): ReactElement {
  const labels = useLabels(own);
  const nowMs = useNow(DATES_MS);
  const { conversations, ready, hasMore, loadMore } = useConversations(folder);
  // The one row that Tab reaches: where the focus was last, the open one, or the first.
  const [focused, setFocused] = useState<string>();
  const ids = useMemo(() => conversations.map(({ conversation }) => conversation.id), [conversations]);
  const stop = [focused, selected].find((id) => id !== undefined && ids.includes(id)) ?? ids[0];
  const { box, list, onScroll, indexes, beforePx, afterPx, reveal, focusCame } = useWindow<HTMLUListElement>(ids, "start", stop);
  const known = selected !== undefined && ids.includes(selected);
  useEffect(() => {
    if (known) reveal(selected);
  }, [selected, known, reveal]);
  const open = useCallback(
    (id: string) => {
      setFocused(id);
      onSelect(id);
    },
    [onSelect],
  );
  const onFocus = (event: FocusEvent<HTMLElement>): void => {
    const id = (event.target as HTMLElement).dataset["key"];
    if (id === undefined) return;
    setFocused(id);
    focusCame(id);
  };
  const onKeyDown = (event: KeyboardEvent<HTMLElement>): void => {
    const at = stop === undefined ? -1 : ids.indexOf(stop);
    const last = ids.length - 1;
    const targets: Partial<Record<string, number>> = { ArrowDown: Math.min(at + 1, last), ArrowUp: Math.max(at - 1, 0), Home: 0, End: last };
    const target = targets[event.key];
    if (at < 0 || event.altKey || event.ctrlKey || event.metaKey) return;
    if (target === undefined && event.key !== "Enter" && event.key !== " ") return;
    event.preventDefault();
    if (target === undefined) return onSelect(ids[at] as string);
    reveal(ids[target] as string, (row) => row.focus({ preventScroll: true }));
  };
  return (
    <div ref={box} className={classes("parley", "parley-conversations", className)} onScroll={onScroll}>
      {ids.length > 0 && (
        <ul
          ref={list}
          className="parley-conversation-list"
          role="listbox"
          aria-label={labels.conversations}
          style={{ paddingBlockStart: beforePx, paddingBlockEnd: afterPx }}
          onKeyDown={onKeyDown}
          onFocus={onFocus}
        >
          {indexes.map((index) => {
            const view = conversations[index] as ConversationView;
            const { id } = view.conversation;
            const place = { position: index + 1, count: hasMore ? UNKNOWN_COUNT : ids.length };
            return <Item key={id} view={view} labels={labels} nowMs={nowMs} selected={id === selected} tabStop={id === stop} {...place} onOpen={open} />;
          })}
        </ul>
      )}
      {ids.length === 0 && <p className="parley-quiet">{ready ? labels.noConversations : labels.loading}</p>}
      {hasMore && (
        <button type="button" className="parley-button" onClick={() => void loadMore()}>
          {labels.moreConversations}
        </button>
      )}
    </div>
  );
}

interface ItemProps {
  readonly view: ConversationView;
  readonly labels: Labels;
  readonly nowMs: number | undefined;
  readonly selected: boolean;
  readonly tabStop: boolean;
  /** In the whole list, of which only the rows near the reader are drawn. */
  readonly position: number;
  readonly count: number;
  readonly onOpen: (id: string) => void;
}

const Item = memo(function Item({ view, labels, nowMs, selected, tabStop, position, count, onOpen }: ItemProps): ReactElement {
  const { conversation, unread, own, messages } = view;
  const locale = useLocale();
  const face = useFace(conversation.id);
  const presence = usePresence(face.peerUserId ?? "");
  const newestMs = view.outgoing.at(-1)?.createTimeMs ?? messages.at(-1)?.sendTimeMs;
  const online = presence?.online === true;
  return (
    <li
      className="parley-conversation"
      role="option"
      aria-selected={selected}
      aria-posinset={position}
      aria-setsize={count}
      tabIndex={tabStop ? 0 : -1}
      data-key={conversation.id}
      data-conversation={conversation.id}
      onClick={() => onOpen(conversation.id)}
    >
      <Avatar name={face.name} url={face.avatarUrl} online={online} />
      <span className="parley-conversation-text">
        <span className="parley-conversation-head">
          <bdi className="parley-conversation-name">{face.name}</bdi>
          {online && <span className="parley-hidden">{labels.online}</span>}
          {newestMs !== undefined && nowMs !== undefined && <time className="parley-time">{shortMoment(newestMs, nowMs, locale)}</time>}
        </span>
        <span className="parley-conversation-foot">
          <Preview view={view} labels={labels} selected={selected} />
          {(unread > 0 || own.markedUnread) && (
            <span className="parley-badge" role="img" aria-label={unread > 0 ? labels.unread(unread) : labels.markedUnread}>
              {unread > 0 ? number(unread, locale) : ""}
            </span>
          )}
        </span>
      </span>
    </li>
  );
});

/** Who writes, what is not sent, a draft, or the newest message. */
function Preview({ view, labels, selected }: { view: ConversationView; labels: Labels; selected: boolean }): ReactElement {
  const { conversation, outgoing, messages, own } = view;
  const client = useParley();
  const locale = useLocale();
  const { text: draft } = useDraft(conversation.id);
  // Of a stranger's request nothing is said until it is accepted.
  const typing = useNames(useTyping(own.request === "none" ? conversation.id : ""));
  const newest = messages.findLast(({ content }) => content.kind !== "expired");
  const event = newest?.content.kind === "system" ? newest.content.event : undefined;
  const about = event?.kind === "added" ? event.userIds : event && "userId" in event ? [event.userId] : [];
  // Asked for beforehand, so that the line is drawn anew when a name comes.
  useNames(newest ? [newest.senderId, ...about] : []);
  const speaking = { labels, locale, selfId: client.userId, nameOf: (id: string) => (id === client.userId ? labels.you : client.people.nameOf(id)) };
  const pending = outgoing.at(-1);
  if (typing.length > 0) return <span className="parley-preview parley-accent">{typingLine(typing, speaking)}</span>;
  if (pending?.state === "failed") return <span className="parley-preview parley-danger">{labels.notSent}</span>;
  if (pending) return <bdi className="parley-preview">{labels.youSaid(pending.text || labels.files(pending.attachments.length))}</bdi>;
  if (draft && !selected) return <bdi className="parley-preview">{labels.draft(draft)}</bdi>;
  if (!newest) return <span className="parley-preview">{labels.noMessages}</span>;
  const line = messageLine(newest, speaking);
  const spoken = newest.content.kind !== "system" && newest.content.kind !== "call";
  if (spoken && newest.senderId === client.userId) return <bdi className="parley-preview">{labels.youSaid(line)}</bdi>;
  return <bdi className="parley-preview">{spoken && conversation.kind === "group" ? labels.said(speaking.nameOf(newest.senderId), line) : line}</bdi>;
}
