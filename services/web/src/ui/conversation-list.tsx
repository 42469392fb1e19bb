import type { JSX } from "preact";
import type { ConversationView, ParleyClient } from "../parley";
import { Avatar } from "./avatar";
import { listTime } from "./format";
import { faceOf, previewLine, type Reader, typingLine } from "./people";

interface ConversationListProps {
  readonly client: ParleyClient;
  readonly views: readonly ConversationView[];
  readonly openId: string;
  readonly nameOf: (userId: string) => string;
  readonly nowMs: number;
  readonly onOpen: (conversationId: string) => void;
}

export function ConversationList({ views, ...rest }: ConversationListProps): JSX.Element {
  if (views.length === 0) {
    const hint = rest.client.messaging.ready ? "No conversations yet. Start one with the plus sign." : "Loading…";
    return <p class="list-hint">{hint}</p>;
  }
  return (
    <nav aria-label="Conversations" class="list">
      <ul>
        {views.map((view) => (
          <Item key={view.conversation.id} view={view} {...rest} />
        ))}
      </ul>
    </nav>
  );
}

interface ItemProps extends Omit<ConversationListProps, "views"> {
  readonly view: ConversationView;
}

function Item({ client, view, openId, nameOf, nowMs, onOpen }: ItemProps): JSX.Element {
  const { conversation, messages, outgoing, unread } = view;
  const reader = { selfId: client.userId, nameOf };
  const { id, name, peer } = faceOf(conversation, reader);
  const newest = messages.at(-1);
  const pending = outgoing.at(-1);
  const timeMs = pending?.createTimeMs ?? newest?.sendTimeMs;
  const current = conversation.id === openId;
  const online = peer ? client.presence.of(peer)?.online : undefined;
  return (
    <li>
      <button type="button" class="item" aria-current={current ? "true" : undefined} onClick={() => onOpen(conversation.id)}>
        <Avatar userId={id} name={name} online={online} />
        <span class="item-body">
          <span class="item-top">
            <span class="item-name">{name}</span>
            {online && <span class="visually-hidden">, online</span>}
            {timeMs !== undefined && <time class="item-time">{listTime(timeMs, nowMs)}</time>}
          </span>
          <span class="item-bottom">
            <Preview client={client} view={view} reader={reader} />
            {unread > 0 && (
              <span class="badge" aria-label={`${unread} unread`}>
                {unread > 99 ? "99+" : unread}
              </span>
            )}
          </span>
        </span>
      </button>
    </li>
  );
}

interface PreviewProps {
  readonly client: ParleyClient;
  readonly view: ConversationView;
  readonly reader: Reader;
}

function Preview({ client, view, reader }: PreviewProps): JSX.Element {
  const { kind, id } = view.conversation;
  const typing = client.presence.typing(id);
  const pending = view.outgoing.at(-1);
  const newest = view.messages.at(-1);
  if (typing.length > 0) return <span class="item-preview accent">{typingLine(typing, kind, reader)}</span>;
  if (pending) {
    const line = pending.state === "failed" ? "Not sent" : `You: ${pending.text}`;
    return <span class={`item-preview ${pending.state === "failed" ? "danger" : ""}`}>{line}</span>;
  }
  const line = newest ? previewLine(newest, kind, reader) : "Say hello";
  return <span class={`item-preview ${view.unread > 0 ? "strong" : ""}`}>{line}</span>;
}
