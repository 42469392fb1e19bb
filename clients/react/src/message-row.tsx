import type { Attachment, Conversation, Entity, Message, Outgoing } from "@parley/client";
import { groupReceipt, isUserContent, receiptOf, segments, targetOf } from "@parley/client";
import { memo, type ReactElement, type ReactNode, useState } from "react";
import { classes } from "./class-names.js";
import { dayLine, list, moment, number, size, timeOfDay } from "./format.js";
import { LinkCard } from "./link-card.js";
import { messageLine, type Speaking } from "./message-line.js";
import { PollOptions } from "./poll-options.js";
import { useParley } from "./provider.js";
import type { Row } from "./rows.js";
import { StickerPicture } from "./sticker-picture.js";
import { ViewOnce } from "./view-once.js";

export interface RowProps {
  readonly row: Row;
  readonly speaking: Speaking;
  readonly nowMs: number | undefined;
  readonly group: boolean;
  /** Of one's own message: how far it came. */
  readonly receipt: string | undefined;
  /** The message that this one answers; undefined where it is not loaded. */
  readonly quoted: Message | undefined;
  readonly onReply: ((message: Message) => void) | undefined;
  /** Where the row stands among all, from 1 on; undefined while there are older ones than are known. */
  readonly position: number | undefined;
}

/** One row of a thread. It is drawn again when what it shows has changed, and for nothing else. */
export const MessageRow = memo(function MessageRow(props: RowProps): ReactElement {
  const { row, position } = props;
  const own = row.kind === "outgoing" || (row.kind === "message" && row.message.senderId === props.speaking.selfId);
  const bubble = row.kind === "message" || row.kind === "outgoing";
  const names = bubble ? ["parley-message", own ? "parley-message-own" : "parley-message-other", row.first && "parley-message-first"] : [`parley-${row.kind}`];
  // How many there are is not said: it would change all rows with each message.
  return (
    <li className={classes(...names)} data-key={row.key} data-seq={row.kind === "message" ? row.message.seq : undefined} aria-setsize={-1} aria-posinset={position}>
      <Inside {...props} />
    </li>
  );
}, sameRow);

/** Laying a thread out makes its rows anew; what they hold keeps its identity. */
function sameRow(a: RowProps, b: RowProps): boolean {
  const keys = Object.keys(a) as (keyof RowProps)[];
  if (keys.some((key) => key !== "row" && !Object.is(a[key], b[key]))) return false;
  const fields = new Set([...Object.keys(a.row), ...Object.keys(b.row)]) as Set<keyof Row>;
  return [...fields].every((field) => Object.is(a.row[field], b.row[field]));
}

function Inside({ row, speaking, nowMs, group, receipt, quoted, onReply }: RowProps): ReactElement {
  const { locale } = speaking;
  switch (row.kind) {
    case "day":
      return <span className="parley-day-text">{nowMs !== undefined && dayLine(row.timeMs, nowMs, locale)}</span>;
    case "line":
      return (
        <>
          <bdi>{messageLine(row.message, speaking)}</bdi> <time className="parley-time">{timeOfDay(row.message.sendTimeMs, locale)}</time>
        </>
      );
    case "message":
      return <Bubble message={row.message} named={group && row.first} {...{ speaking, receipt, quoted, onReply }} />;
    case "outgoing":
      return <OutgoingBubble outgoing={row.outgoing} speaking={speaking} quoted={quoted} />;
  }
}

interface BubbleProps extends Pick<RowProps, "speaking" | "receipt" | "quoted" | "onReply"> {
  readonly message: Message;
  /** Whether the sender's name stands above it. */
  readonly named: boolean;
}

function Bubble({ message, named, speaking, receipt, quoted, onReply }: BubbleProps): ReactElement {
  const { labels, locale, nameOf, selfId } = speaking;
  const { content, senderId, attachments, reactions, expireTimeMs } = message;
  const text = content.kind === "text" && !message.viewOnce ? content.text : messageLine(message, speaking);
  const quiet = content.kind === "unsent" || content.kind === "unknown";
  return (
    <>
      <span className={named && senderId !== selfId ? "parley-sender" : "parley-hidden"}>
        <bdi>{nameOf(senderId)}</bdi>
      </span>
      <div className={classes("parley-bubble", quiet && "parley-bubble-quiet")}>
        {message.forwarded && <span className="parley-note">{labels.forwarded}</span>}
        {message.replyToSeq > 0 && <Quote quoted={quoted} speaking={speaking} />}
        {!message.viewOnce &&
          attachments.map((attachment) => <File key={attachment.id} attachment={attachment} of={message} speaking={speaking} />)}
        {message.viewOnce && <ViewOnce message={message} speaking={speaking} />}
        {content.kind === "sticker" && <StickerPicture sticker={content} line={text} />}
        {text && content.kind !== "sticker" && (
          <span className="parley-text" dir="auto">
            {content.kind === "text" ? <Text text={text} entities={content.entities} selfId={selfId} /> : text}
          </span>
        )}
        {content.kind === "text" && content.preview && <LinkCard preview={content.preview} />}
        {content.kind === "poll" && <PollOptions message={message} poll={content} speaking={speaking} />}
        <span className="parley-meta">
          {content.kind === "text" && content.masked && <span>{labels.masked}</span>}
          {message.edited && <span>{labels.edited}</span>}
          {expireTimeMs !== undefined && <span>{labels.vanishes(moment(expireTimeMs, locale))}</span>}
          <time dateTime={new Date(message.sendTimeMs).toISOString()}>{timeOfDay(message.sendTimeMs, locale)}</time>
          {receipt && <span className="parley-receipt">{receipt}</span>}
        </span>
      </div>
      {reactions.length > 0 && (
        <span className="parley-reactions">
          {reactions.map(({ emoji, userIds }) => (
            <span key={emoji} className="parley-reaction" role="img" aria-label={labels.reaction(emoji, list(userIds.map(nameOf), locale))}>
              {emoji} {number(userIds.length, locale)}
            </span>
          ))}
        </span>
      )}
      {onReply && isUserContent(content) && (
        <button type="button" className="parley-button parley-reply" onClick={() => onReply(message)}>
          {labels.reply}
        </button>
      )}
    </>
  );
}

function OutgoingBubble({ outgoing, speaking, quoted }: { outgoing: Outgoing; speaking: Speaking; quoted: Message | undefined }): ReactElement {
  const client = useParley();
  const { labels, selfId } = speaking;
  const { conversationId, clientMessageId, text, entities, attachments, state, problem, retryable } = outgoing;
  const failed = state === "failed";
  return (
    <>
      <div className={classes("parley-bubble", "parley-bubble-waiting", failed && "parley-bubble-failed")}>
        {outgoing.replyToSeq > 0 && <Quote quoted={quoted} speaking={speaking} />}
        {attachments.map(({ id, fileName }) => (
          <bdi key={id} className="parley-file">{fileName}</bdi>
        ))}
        {text && (
          <span className="parley-text" dir="auto">
            <Text text={text} entities={entities} selfId={selfId} />
          </span>
        )}
        {outgoing.preview && <LinkCard preview={outgoing.preview} />}
        <span className="parley-meta">{failed ? labels.notSent : labels.sending}</span>
      </div>
      {(failed || problem) && (
        <p className="parley-problem">
          {problem && <span>{labels.told(problem)}</span>}
          {failed && retryable && (
            <button type="button" className="parley-button" onClick={() => client.messaging.retry(conversationId, clientMessageId)}>
              {labels.tryAgain}
            </button>
          )}
          {failed && (
            <button type="button" className="parley-button" onClick={() => void client.messaging.discard(conversationId, clientMessageId)}>
              {labels.discard}
            </button>
          )}
        </p>
      )}
    </>
  );
}

function Quote({ quoted, speaking }: { quoted: Message | undefined; speaking: Speaking }): ReactElement {
  if (!quoted || quoted.content.kind === "expired") return <span className="parley-quote">{speaking.labels.earlierMessage}</span>;
  return (
    <span className="parley-quote">
      <bdi className="parley-quote-name">{speaking.nameOf(quoted.senderId)}</bdi> <bdi className="parley-quote-text">{messageLine(quoted, speaking)}</bdi>
    </span>
  );
}

/** A text with its links and mentions. The host that opens can always be read; the page that opens learns nothing of this one. */
function Text({ text, entities, selfId }: { text: string; entities: readonly Entity[]; selfId: string }): ReactNode {
  if (entities.length === 0) return text;
  return segments(text, entities).map((part, i) => {
    const target = part.url && targetOf(part.text, part.url);
    if (target) {
      return (
        <a key={i} className="parley-link" href={target.href} target="_blank" rel="noopener noreferrer">
          <bdi>{part.text}</bdi>
          {!target.hostInText && <span> ({target.host})</span>}
        </a>
      );
    }
    if (part.mention === undefined) return part.text;
    return (
      <bdi key={i} className={classes("parley-mention", part.mention === selfId && "parley-mention-of-me")}>
        {part.text}
      </bdi>
    );
  });
}

/** A file by its name. Its address lives for minutes only, and is asked for when it is wanted. */
function File({ attachment, of, speaking }: { attachment: Attachment; of: Message; speaking: Speaking }): ReactElement {
  const client = useParley();
  const { labels, locale } = speaking;
  const [failed, setFailed] = useState(false);
  const { id: attachmentId, fileName, sizeBytes } = attachment;
  const bytes = size(sizeBytes, locale);
  const open = async (): Promise<void> => {
    setFailed(false);
    // Opened at the click: browsers let no window open later.
    const opened = window.open("about:blank", "_blank");
    if (opened) opened.opener = null;
    try {
      const address = await client.downloads.url({ conversationId: of.conversationId, seq: of.seq, attachmentId });
      if (opened) opened.location.replace(address);
    } catch {
      opened?.close();
      setFailed(true);
    }
  };
  return (
    <>
      <button type="button" className="parley-file" aria-label={labels.openFile(fileName, bytes)} onClick={() => void open()}>
        <bdi className="parley-file-name">{fileName}</bdi> <span className="parley-time">{bytes}</span>
      </button>
      {failed && (
        <span className="parley-problem" role="alert">
          {labels.fileFailed}
        </span>
      )}
    </>
  );
}

/** How far one's own message came; undefined where nobody asks. */
export function receiptLine(conversation: Conversation, message: Message, { labels, selfId }: Speaking): string | undefined {
  if (message.senderId !== selfId || !isUserContent(message.content)) return undefined;
  if (conversation.kind === "direct") return labels[receiptOf(conversation, message.seq, selfId)];
  const { read, delivered } = groupReceipt(conversation, message.seq, selfId);
  if (read.length > 0) return labels.readBy(read.length);
  return delivered.length > 0 ? labels.delivered : labels.sent;
}
