import type { JSX } from "preact";
import { useRef } from "preact/hooks";
import type { Outgoing, ParleyClient } from "@parley/client";
import { truncate, isUserContent } from "@parley/client";
import { Attachments } from "./attachments";
import { Avatar } from "./avatar";
import { callLine, dateTime, timeOfDay } from "./format";
import { useLongPress } from "./hooks";
import { Icon } from "./icons";
import type { MessageActions } from "./message-menu";
import { attachmentsLine, groupLine, messageLine, reactionLine, type Viewer } from "./conversation-text";
import { LinkCard } from "./link-card";
import { RichText } from "./rich-text";
import { PollBox } from "./poll-box";
import { StickerPicture } from "./sticker-picture";
import { Ticks } from "./receipt-ticks";
import { ViewOnceBox } from "./view-once";
import { VoiceBox } from "./voice-box";
import type { BubbleRow, Quote, Row } from "./timeline";
import { lineOf, made, numberLine, t } from "./text";

const KEY_NEWS = { device_added: "keys.news.device", account_key_changed: "keys.news.account" } as const;

interface RowContext {
  readonly client: ParleyClient;
  readonly viewer: Viewer;
  readonly conversationId: string;
  readonly group: boolean;
  readonly actions: MessageActions;
}

interface MessageRowProps extends RowContext {
  readonly row: Row;
  /** The one message whose actions the Tab key reaches; the arrow keys lead to the others. */
  readonly tabStop: boolean;
}

export function MessageRow({ row, tabStop, ...context }: MessageRowProps): JSX.Element | null {
  if (row.kind === "day") return <h3 class="day">{row.label}</h3>;
  if (row.kind === "new") return <h3 class="new-line">{t("messages.new")}</h3>;
  if (row.kind === "text") return <Bubble row={row} tabStop={tabStop} {...context} />;
  if (row.kind === "keys") return <p class="system-row" data-testid="key-news">{t(KEY_NEWS[row.news.kind], { name: context.viewer.nameOf(row.news.userId) })}</p>;
  if (row.kind === "call") return <CallRow row={row} selfId={context.client.userId} />;
  const { content, senderId } = row.message;
  return <p class="system-row">{content.kind === "system" && groupLine(content.event, senderId, context.viewer)}</p>;
}

interface BubbleProps extends RowContext {
  readonly row: BubbleRow;
  readonly tabStop: boolean;
}

function Bubble({ row, tabStop, ...context }: BubbleProps): JSX.Element {
  const { client, viewer, conversationId, group, actions } = context;
  const { message, own } = row;
  const body = useRef<HTMLDivElement>(null);
  const press = useLongPress(() => body.current?.querySelector<HTMLElement>(".message-actions")?.click());
  const preview = previewOf(row);
  const spoken = soundOf(message);
  const open = message !== undefined && message.content.kind !== "unsent";
  const faint = message ? !isUserContent(message.content) : false;
  const side = own ? "own" : "other";
  const classes = ["row", side, row.first && "first", row.last && "last", row.outgoing?.state, faint && "faint", group && "in-group"];
  return (
    <div class={classes.filter(Boolean).join(" ")} id={message && `message-${message.seq}`}>
      {group && !own && row.first && <p class="sender"><bdi>{viewer.nameOf(row.senderId)}</bdi></p>}
      {group && !own && row.last && <Avatar userId={row.senderId} name={viewer.nameOf(row.senderId)} size="tiny" />}
      <div class="bubble-line" ref={body}>
        <div class="bubble" {...(open ? press : {})}>
          <span class="visually-hidden">{own ? t("message.you") : ""}</span>
          {message?.forwarded && (
            <span class="forwarded">
              <Icon name="forward" /> {t("message.forwarded")}
            </span>
          )}
          {row.quote && <QuoteBox quote={row.quote} viewer={viewer} jump={actions.jump} />}
          {message?.viewOnce ? (
            <ViewOnceBox client={client} message={message} viewer={viewer} />
          ) : spoken ? (
            <VoiceBox client={client} {...spoken} />
          ) : (
            <Attachments client={client} conversationId={conversationId} seq={message?.seq} attachments={row.attachments} />
          )}
          {message?.content.kind === "poll" && <PollBox client={client} message={message} poll={message.content} viewer={viewer} />}
          {message?.content.kind === "sticker" && <StickerPicture client={client} message={message} sticker={message.content} viewer={viewer} />}
          {row.text && !message?.viewOnce && !spoken && message?.content.kind !== "poll" && message?.content.kind !== "sticker" && (
            <span class="text" dir="auto">
              <RichText text={row.text} entities={entitiesOf(row)} selfId={client.userId} />
            </span>
          )}
          {preview && <LinkCard preview={preview} />}
          <Meta row={row} actions={actions} />
        </div>
        {open && <Tools row={row} tabStop={tabStop} actions={actions} />}
      </div>
      {message && message.reactions.length > 0 && <ReactionChips row={row} viewer={viewer} actions={actions} />}
      {row.outgoing && <Pending outgoing={row.outgoing} client={client} conversationId={conversationId} />}
      {!row.outgoing && row.status && message && (
        <button type="button" class="status" title={t("read.show")} onClick={() => actions.readers(message)}>
          {row.status}
        </button>
      )}
    </div>
  );
}

/** What can be heard of a message. Who has not let the conversation in is told its length alone. */
function soundOf(message: BubbleRow["message"]) {
  const [sound] = message?.attachments ?? [];
  return message?.content.kind === "voice" && sound ? { message, sound, lengthS: message.content.lengthS } : undefined;
}

/** When, whether it was changed or vanishes, and how far it got. */
function Meta({ row, actions }: { row: BubbleRow; actions: MessageActions }): JSX.Element {
  const { message } = row;
  const masked = message?.content.kind === "text" && message.content.masked;
  const vanishes = message?.expireTimeMs && t("message.vanishes", { time: made(dateTime(message.expireTimeMs)) });
  return (
    <span class="meta">
      {masked && <span class="masked" title={t("message.masked.why")}>{t("message.masked")}</span>}
      {message?.edited && (
        <button type="button" class="edited" title={t("message.edited.show")} onClick={() => actions.history(message)}>
          {t("message.edited")}
        </button>
      )}
      {vanishes && (
        <span class="vanishes" role="img" aria-label={vanishes} title={vanishes}>
          <Icon name="clock" />
        </span>
      )}
      <time dateTime={new Date(row.timeMs).toISOString()}>{timeOfDay(row.timeMs)}</time>
      {row.receipt && <Ticks receipt={row.receipt} />}
    </span>
  );
}

function entitiesOf({ message, outgoing }: BubbleRow) {
  if (message) return message.content.kind === "text" ? message.content.entities : [];
  return outgoing?.entities ?? [];
}

function previewOf({ message, outgoing }: BubbleRow) {
  return message ? message.content.kind === "text" && message.content.preview : outgoing?.preview;
}

function QuoteBox({ quote, viewer, jump }: { quote: Quote; viewer: Viewer; jump: (seq: number) => void }): JSX.Element {
  const { message, seq } = quote;
  if (!message) {
    return (
      <button type="button" class="quote" title={t("quote.show")} onClick={() => jump(seq)}>
        {t("quote.earlier")}
      </button>
    );
  }
  const author = message.senderId === viewer.selfId ? t("you") : viewer.nameOf(message.senderId);
  return (
    <button type="button" class="quote" title={t("quote.show")} onClick={() => jump(seq)}>
      <span class="visually-hidden">{t("quote.answer")}</span>
      <strong>{author}</strong>
      <span class="quote-text" dir="auto">
        {messageLine(message, viewer)}
      </span>
    </button>
  );
}

function Tools({ row, tabStop, actions }: { row: BubbleRow; tabStop: boolean; actions: MessageActions }): JSX.Element | null {
  const { message } = row;
  if (!message) return null;
  const openMenu = (brief: boolean) => (event: { currentTarget: HTMLElement }) =>
    actions.openMenu({ seq: message.seq, anchor: event.currentTarget, brief });
  return (
    <span class="tools">
      <button type="button" class="tool" tabIndex={-1} aria-label={t("react")} title={t("react")} aria-haspopup="menu" onClick={openMenu(true)}>
        <Icon name="smile" />
      </button>
      <button type="button" class="tool" tabIndex={-1} aria-label={t("reply")} title={t("reply")} onClick={() => actions.reply(message)}>
        <Icon name="reply" />
      </button>
      <button
        type="button"
        class="tool message-actions"
        tabIndex={tabStop ? 0 : -1}
        aria-label={t("actions.message", { text: truncate(row.text, 60) || attachmentsLine(row.attachments) })}
        title={t("more")}
        aria-haspopup="menu"
        onClick={openMenu(false)}
      >
        <Icon name="more" />
      </button>
    </span>
  );
}

function ReactionChips({ row, viewer, actions }: { row: BubbleRow; viewer: Viewer; actions: MessageActions }): JSX.Element | null {
  const { message } = row;
  if (!message) return null;
  return (
    <p class="chips" role="group" aria-label={t("reactions")}>
      {message.reactions.map(({ emoji, userIds }) => {
        const line = reactionLine(emoji, userIds, viewer);
        return (
          <button key={emoji} type="button" class="chip" aria-pressed={userIds.includes(viewer.selfId)} aria-label={line} title={line} onClick={() => actions.react(message, emoji)}>
            {emoji} <span>{numberLine(userIds.length)}</span>
          </button>
        );
      })}
    </p>
  );
}

interface PendingProps {
  readonly outgoing: Outgoing;
  readonly client: ParleyClient;
  readonly conversationId: string;
}

function Pending({ outgoing, client, conversationId }: PendingProps): JSX.Element {
  if (outgoing.state === "sending") return <p class="status">{lineOf(outgoing.problem) || t("message.sending")}</p>;
  const { clientMessageId } = outgoing;
  return (
    <p class="status failed" role="alert">
      <span>{t("sentences", { first: made(t("message.failed")), second: made(lineOf(outgoing.problem)) })}</span>{" "}
      <button type="button" onClick={() => client.messaging.retry(conversationId, clientMessageId)}>
        {t("try.again")}
      </button>{" "}
      <button type="button" onClick={() => void client.messaging.discard(conversationId, clientMessageId)}>
        {t("delete")}
      </button>
    </p>
  );
}

function CallRow({ row, selfId }: { row: Extract<Row, { kind: "call" | "system" }>; selfId: string }): JSX.Element | null {
  const { content, senderId, sendTimeMs } = row.message;
  if (content.kind !== "call") return null;
  const own = senderId === selfId;
  const missed = !own && ["missed", "cancelled", "busy"].includes(content.outcome);
  return (
    <div class={`call-row ${missed ? "missed" : ""}`} data-testid="call-record">
      <Icon name={missed ? "missed" : content.video ? "video" : "phone"} />
      <span>{callLine(content, own)}</span>
      <time class="quiet" dateTime={new Date(sendTimeMs).toISOString()}>
        {timeOfDay(sendTimeMs)}
      </time>
    </div>
  );
}
