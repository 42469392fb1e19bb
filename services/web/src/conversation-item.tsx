import type { ComponentChildren, JSX } from "preact";
import { useContext, useRef, useState } from "preact/hooks";
import type { Call, ConversationView, Message, ParleyClient, Receipt } from "@parley/client";
import { isMuted, isUserContent, joined, receiptOf } from "@parley/client";
import { Avatar, Faces } from "./avatar";
import { ConversationMenu } from "./conversation-menu";
import { listTime } from "./format";
import { useLongPress } from "./hooks";
import { Icon } from "./icons";
import { language } from "./language";
import { memo, useFacts } from "./memo";
import { messageLine, previewAuthor, titleOf, type Viewer, typingLine } from "./conversation-text";
import { Ticks } from "./receipt-ticks";
import { numberLine, t } from "./text";

interface ItemProps {
  readonly client: ParleyClient;
  readonly view: ConversationView;
  readonly openId: string;
  readonly nameOf: (userId: string) => string;
  readonly nowMs: number;
  readonly onOpen: (conversationId: string) => void;
  /** Tab stops here: at one row of the list. */
  readonly tabStop: boolean;
  /** In the whole list, of which only the rows near the reader are drawn. */
  readonly position: number;
  readonly count: number;
}

/** One conversation of the list: name, newest message, unread count, and a menu. Of what happens it is drawn again for what it shows alone. */
export function ConversationItem({ client, view, openId, nameOf, nowMs, onOpen, tabStop, position, count }: ItemProps): JSX.Element {
  const faceOf = useContext(Faces);
  const facts = useFacts(client, () => ({ ...factsOf(client, view, { selfId: client.userId, nameOf }, faceOf, nowMs), code: language.code }));
  return <Row {...{ client, view, onOpen, tabStop, position, count }} {...facts} current={view.conversation.id === openId} />;
}

/** What a row says that does not stand in the conversation itself. */
interface Facts extends PreviewFacts {
  readonly id: string;
  readonly name: string;
  readonly picture: string;
  readonly online: boolean | undefined;
  readonly time: string | undefined;
  readonly muted: boolean;
  readonly call: Call | undefined;
}

function factsOf(client: ParleyClient, view: ConversationView, viewer: Viewer, faceOf: (userId: string) => string, nowMs: number): Facts {
  const { conversation, messages, outgoing, own } = view;
  const { id, name, peer, picture = faceOf(id) } = titleOf(conversation, viewer);
  const timeMs = outgoing.at(-1)?.createTimeMs ?? messages.at(-1)?.sendTimeMs;
  const online = peer && own.request !== "pending" && !client.relations.isBlocked(peer) ? client.presence.of(peer)?.online : undefined;
  const time = timeMs === undefined ? undefined : listTime(timeMs, nowMs);
  return { id, name, picture, online, time, muted: isMuted(own, nowMs), call: client.calls.runningIn(conversation.id), ...previewOf(client, view, viewer) };
}

interface RowProps extends Facts, Pick<ItemProps, "client" | "view" | "onOpen" | "tabStop" | "position" | "count"> {
  /** It is open: its draft is in the field. */
  readonly current: boolean;
  /** The language of the words. */
  readonly code: string;
}

const Row = memo(function Row({ client, view, onOpen, tabStop, position, count, id, name, picture, online, time, muted, call, current, ...preview }: RowProps): JSX.Element {
  const { conversation, own } = view;
  const [anchor, setAnchor] = useState<HTMLElement | undefined>(undefined);
  const more = useRef<HTMLButtonElement>(null);
  const press = useLongPress(() => more.current?.click());
  const request = own.request === "pending";
  return (
    <li class="item-row" data-key={conversation.id} aria-posinset={position} aria-setsize={count}>
      <button type="button" class="item" tabIndex={tabStop ? 0 : -1} aria-current={current ? "true" : undefined} onClick={() => onOpen(conversation.id)} {...(request ? {} : press)}>
        <Avatar userId={id} name={name} online={online} picture={picture} />
        <span class="item-body">
          <span class="item-top">
            <span class="item-name">
              <bdi>{name}</bdi>
            </span>
            {online && <span class="visually-hidden">{t("item.online")}</span>}
            {time !== undefined && <time class="item-time">{time}</time>}
          </span>
          <span class="item-bottom">
            <Preview view={view} current={current} {...preview} />
            <Marks view={view} muted={muted} call={call} />
          </span>
        </span>
      </button>
      {!request && (
        <button ref={more} type="button" class="item-more icon-button" tabIndex={tabStop ? 0 : -1} aria-label={t("options.for", { name })} title={t("options")} aria-haspopup="menu" onClick={(event) => setAnchor(event.currentTarget)}>
          <Icon name="more" />
        </button>
      )}
      {anchor && (
        <ConversationMenu {...{ client, view, name, anchor }} onClose={() => setAnchor(undefined)} onUnread={() => current && onOpen("")} />
      )}
    </li>
  );
});

/** The end of a row. */
function Marks({ view, muted, call }: { view: ConversationView; muted: boolean; call: Call | undefined }): JSX.Element {
  const { own, unread } = view;
  const inCall = call ? joined(call).length : 0;
  return (
    <span class="marks">
      {call && (
        <span class="mark in-call" role="img" aria-label={t("mark.call", { count: inCall })}>
          <Icon name={call.video ? "video" : "phone"} />
          {call.group && numberLine(inCall)}
        </span>
      )}
      {muted && (
        <span class="mark" role="img" aria-label={t("mark.muted")}>
          <Icon name="bell" struck />
        </span>
      )}
      {own.pinned && (
        <span class="mark" role="img" aria-label={t("mark.pinned")}>
          <Icon name="pin" />
        </span>
      )}
      {unread > 0 && (
        <span class={`badge ${muted ? "muted" : ""}`} role="img" aria-label={t("mark.unread", { count: unread })}>
          {unread > 99 ? t("badge.many", { count: 99 }) : numberLine(unread)}
        </span>
      )}
      {unread === 0 && own.markedUnread && <span class={`badge dot-badge ${muted ? "muted" : ""}`} role="img" aria-label={t("mark.unread.set")} />}
    </span>
  );
}

interface PreviewFacts {
  /** Who is writing; empty for nobody. */
  readonly typing: string;
  readonly draft: string;
  /** Undefined for none that could be shown. */
  readonly newest: Message | undefined;
  readonly author: string;
  readonly line: string;
  readonly receipt: Receipt | undefined;
}

function previewOf(client: ParleyClient, { conversation, messages, own }: ConversationView, viewer: Viewer): PreviewFacts {
  const { id, kind } = conversation;
  const typing = own.request === "pending" ? [] : client.presence.typing(id);
  const newest = messages.findLast((m) => m.content.kind !== "expired");
  const ticks = newest && kind === "direct" && newest.senderId === viewer.selfId && isUserContent(newest.content);
  return {
    typing: typing.length > 0 ? typingLine(typing, kind, viewer) : "",
    draft: client.drafts.get(id),
    newest,
    author: newest ? previewAuthor(newest, kind, viewer) : "",
    line: newest ? messageLine(newest, viewer) : "",
    receipt: ticks ? receiptOf(conversation, newest.seq, viewer.selfId) : undefined,
  };
}

interface PreviewProps extends PreviewFacts {
  readonly view: ConversationView;
  /** It is open: its draft is in the field. */
  readonly current: boolean;
}

function Preview({ view, current, typing, draft, newest, author, line, receipt }: PreviewProps): JSX.Element {
  const pending = view.outgoing.at(-1);
  if (typing) return <Line class="accent">{typing}</Line>;
  if (pending?.state === "failed") return <Line class="danger">{t("preview.unsent")}</Line>;
  if (pending) {
    return (
      <span class="item-preview">
        <span class="by">{t("preview.you")}</span> <bdi>{pending.text || t("preview.file")}</bdi>
      </span>
    );
  }
  if (draft && !current) {
    return (
      <span class="item-preview">
        <span class="by danger">{t("preview.draft")}</span> <bdi>{draft}</bdi>
      </span>
    );
  }
  if (!newest) return <Line>{view.messages.length > 0 ? t("preview.none") : t("preview.new")}</Line>;
  return (
    <span class={`item-preview ${view.unread > 0 || view.own.markedUnread ? "strong" : ""}`}>
      {receipt && <Ticks receipt={receipt} />}
      {author && <span class="by">{author}</span>} {isUserContent(newest.content) ? <bdi>{line}</bdi> : <span>{line}</span>}
    </span>
  );
}

/** A line of the page's own words. */
function Line({ class: name = "", children }: { class?: string; children: ComponentChildren }): JSX.Element {
  return (
    <span class={`item-preview ${name}`}>
      <span>{children}</span>
    </span>
  );
}
