import type { Conversation, Message } from "@parley/client";
import { type ReactElement, useEffect, useMemo, useRef, useState } from "react";
import { classes } from "./class-names.js";
import { useConversation, useFace, useMessages, type Messages } from "./conversation-hooks.js";
import { useAttention, useConnection, useNames, useNow, useTyping } from "./hooks.js";
import type { Labels } from "./labels.js";
import { messageLine, type Speaking, typingLine } from "./message-line.js";
import { MessageRow, receiptLine } from "./message-row.js";
import { useLabels, useLocale, useParley } from "./provider.js";
import { layOut, type Row } from "./rows.js";
import { useWindow } from "./use-window.js";

/** This close to the upper end, older messages are brought. */
const OLDER_PX = 400;
/** Fewer messages than this do not fill a screen. */
const PAGE_OF_MESSAGES = 30;
/** Lines of days move on this often. */
const DAYS_MS = 60_000;

export interface ThreadProps {
  readonly conversationId: string;
  /** Puts a button to answer beside each message; give the message to the composer's `replyTo`. */
  readonly onReply?: (message: Message) => void;
  readonly labels?: Partial<Labels>;
  readonly className?: string;
}

/** The messages of a conversation. While the user sees them, they count as read. */
export function Thread({ conversationId, onReply, labels: own, className }: ThreadProps): ReactElement {
  const labels = useLabels(own);
  const view = useConversation(conversationId);
  return (
    <section className={classes("parley", "parley-thread", className)}>
      {view ? <Known key={conversationId} conversation={view.conversation} accepted={view.own.request === "none"} {...{ labels, onReply }} /> : <p className="parley-quiet">{labels.loading}</p>}
    </section>
  );
}

interface KnownProps {
  readonly conversation: Conversation;
  /** It is no request any more: of a stranger's request nothing is told until then. */
  readonly accepted: boolean;
  readonly labels: Labels;
  readonly onReply: ((message: Message) => void) | undefined;
}

function Known({ conversation, accepted, labels, onReply }: KnownProps): ReactElement {
  const { id } = conversation;
  const client = useParley();
  const held = useMessages(id);
  const nowMs = useNow(DAYS_MS);
  const { name } = useFace(id);
  const { messages, outgoing, hasOlder, loading, failed, loadOlder } = held;
  const rows = useMemo(() => layOut(messages, outgoing, client.userId), [messages, outgoing, client]);
  const keys = useMemo(() => rows.map(({ key }) => key), [rows]);
  const { box, list, onScroll, indexes, beforePx, afterPx, following, toHome: toEnd } = useWindow<HTMLOListElement>(keys, "end");
  const shown = indexes.map((index) => rows[index] as Row);
  const speaking = useSpeaking(labels, conversation, shown);
  useReading(id, held, following);
  // What one has written oneself is always shown.
  useEffect(() => {
    if (outgoing.length > 0) toEnd();
  }, [outgoing.length, toEnd]);
  const lowSeq = messages[0]?.seq ?? 0;
  const scrolled = (): void => {
    onScroll();
    if (hasOlder && !loading && !failed && (box.current?.scrollTop ?? 0) < OLDER_PX) void loadOlder();
  };
  return (
    <>
      <div ref={box} className="parley-messages" role="region" aria-label={labels.messages(name)} tabIndex={0} onScroll={scrolled}>
        {failed && (
          <p className="parley-problem" role="alert">
            {labels.olderFailed}
          </p>
        )}
        {hasOlder && (
          <button type="button" className="parley-button parley-older" disabled={loading} onClick={() => void loadOlder()}>
            {loading ? labels.loading : labels.olderMessages}
          </button>
        )}
        {rows.length === 0 && !hasOlder && <p className="parley-quiet">{labels.noMessages}</p>}
        <ol ref={list} className="parley-message-list" style={{ paddingBlockStart: beforePx, paddingBlockEnd: afterPx }}>
          {shown.map((row, i) => {
            const message = row.kind === "message" ? row.message : undefined;
            const replyToSeq = row.kind === "outgoing" ? row.outgoing.replyToSeq : (message?.replyToSeq ?? 0);
            return (
              <MessageRow
                key={row.key}
                row={row}
                speaking={speaking}
                nowMs={row.kind === "day" ? nowMs : undefined}
                group={conversation.kind === "group"}
                receipt={message && receiptLine(conversation, message, speaking)}
                quoted={replyToSeq > 0 ? messages[replyToSeq - lowSeq] : undefined}
                onReply={onReply}
                position={hasOlder ? undefined : (indexes[i] as number) + 1}
              />
            );
          })}
        </ol>
      </div>
      {!following && (
        <button type="button" className="parley-button parley-newest" onClick={toEnd}>
          {labels.newestMessages}
        </button>
      )}
      <Typing id={accepted ? id : ""} labels={labels} />
      <News newest={messages.at(-1)} speaking={speaking} />
    </>
  );
}

/** Names and words for the rows; the same object until one of them changes. */
function useSpeaking(labels: Labels, { members }: Conversation, rows: readonly Row[]): Speaking {
  const client = useParley();
  const locale = useLocale();
  const senders = rows.flatMap((row) => (row.kind === "message" || row.kind === "line" ? row.message.senderId : []));
  const ids = [...new Set([...members.map(({ userId }) => userId), ...senders])].sort();
  const names = useNames(ids);
  return useMemo(() => {
    const nameOf = (userId: string): string => (userId === client.userId ? labels.you : client.people.nameOf(userId));
    return { labels, locale, selfId: client.userId, nameOf };
  }, [client, labels, locale, names]);
}

/** Marks as read what is seen, and brings enough to fill a screen. */
function useReading(id: string, { messages, hasOlder, loadOlder }: Messages, following: boolean): void {
  const client = useParley();
  const attentive = useAttention();
  const live = useConnection().stream.kind === "live";
  const newestSeq = messages.at(-1)?.seq ?? 0;
  const asked = useRef(false);
  useEffect(() => {
    if (attentive && following) void client.messaging.markRead(id);
  }, [client, id, attentive, following, newestSeq, live]);
  useEffect(() => {
    if (asked.current || !live || !hasOlder || messages.length >= PAGE_OF_MESSAGES) return;
    asked.current = true;
    void loadOlder();
  }, [live, hasOlder, messages.length, loadOlder]);
}

function Typing({ id, labels }: { id: string; labels: Labels }): ReactElement {
  const locale = useLocale();
  const names = useNames(useTyping(id));
  return (
    <p className="parley-typing" role="status">
      {typingLine(names, { labels, locale })}
    </p>
  );
}

/** Reads out what others write from now on. The list is no live region: scrolling through it would be read out too. */
function News({ newest, speaking }: { newest: Message | undefined; speaking: Speaking }): ReactElement {
  const [since] = useState(newest?.seq ?? 0);
  const told = newest && newest.seq > since && newest.senderId !== speaking.selfId ? newest : undefined;
  return (
    <p className="parley-hidden" role="log">
      {told && <span key={told.seq}>{speaking.labels.said(speaking.nameOf(told.senderId), messageLine(told, speaking))}</span>}
    </p>
  );
}
