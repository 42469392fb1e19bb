import type { ComponentChildren, JSX } from "preact";
import { useRef, useState } from "preact/hooks";
import type { Call, ConversationView, ParleyClient } from "@parley/client";
import { isMuted, isUserContent, joined, receiptOf } from "@parley/client";
import { Avatar } from "./avatar";
import { ConversationMenu } from "./conversation-menu";
import { listTime } from "./format";
import { useLongPress } from "./hooks";
import { Icon } from "./icons";
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

/** One conversation of the list: name, newest message, unread count, and a menu. */
export function ConversationItem({ client, view, openId, nameOf, nowMs, onOpen, tabStop, position, count }: ItemProps): JSX.Element {
  const { conversation, messages, outgoing, own } = view;
  const [anchor, setAnchor] = useState<HTMLElement | undefined>(undefined);
  const more = useRef<HTMLButtonElement>(null);
  const press = useLongPress(() => more.current?.click());
  const viewer = { selfId: client.userId, nameOf };
  const { id, name, peer, picture } = titleOf(conversation, viewer);
  const timeMs = outgoing.at(-1)?.createTimeMs ?? messages.at(-1)?.sendTimeMs;
  const current = conversation.id === openId;
  const request = own.request === "pending";
  const online = peer && !request && !client.relations.isBlocked(peer) ? client.presence.of(peer)?.online : undefined;
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
            {timeMs !== undefined && <time class="item-time">{listTime(timeMs, nowMs)}</time>}
          </span>
          <span class="item-bottom">
            <Preview client={client} view={view} viewer={viewer} current={current} />
            <Marks view={view} muted={isMuted(own, nowMs)} call={client.calls.runningIn(conversation.id)} />
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
}

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

interface PreviewProps {
  readonly client: ParleyClient;
  readonly view: ConversationView;
  readonly viewer: Viewer;
  /** It is open: its draft is in the field. */
  readonly current: boolean;
}

function Preview({ client, view, viewer, current }: PreviewProps): JSX.Element {
  const { kind, id } = view.conversation;
  const typing = view.own.request === "pending" ? [] : client.presence.typing(id);
  const pending = view.outgoing.at(-1);
  const newest = view.messages.findLast((m) => m.content.kind !== "expired");
  if (typing.length > 0) return <Line class="accent">{typingLine(typing, kind, viewer)}</Line>;
  if (pending?.state === "failed") return <Line class="danger">{t("preview.unsent")}</Line>;
  if (pending) {
    return (
      <span class="item-preview">
        <span class="by">{t("preview.you")}</span> <bdi>{pending.text || t("preview.file")}</bdi>
      </span>
    );
  }
  const draft = current ? "" : client.drafts.get(id);
  if (draft) {
    return (
      <span class="item-preview">
        <span class="by danger">{t("preview.draft")}</span> <bdi>{draft}</bdi>
      </span>
    );
  }
  if (!newest) return <Line>{view.messages.length > 0 ? t("preview.none") : t("preview.new")}</Line>;
  const author = previewAuthor(newest, kind, viewer);
  const line = messageLine(newest, viewer);
  const ticks = kind === "direct" && newest.senderId === viewer.selfId && isUserContent(newest.content);
  return (
    <span class={`item-preview ${view.unread > 0 || view.own.markedUnread ? "strong" : ""}`}>
      {ticks && <Ticks receipt={receiptOf(view.conversation, newest.seq, viewer.selfId)} />}
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
