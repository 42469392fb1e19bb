import type { JSX } from "preact";
import type { ConversationView, ParleyClient } from "../parley";
import { Avatar } from "./avatar";
import { listTime, previewLine } from "./format";

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
  const peer = conversation.members.find((m) => m.userId !== client.userId)?.userId ?? client.userId;
  const name = nameOf(peer);
  const newest = messages.at(-1);
  const pending = outgoing.at(-1);
  const timeMs = pending?.createTimeMs ?? newest?.sendTimeMs;
  const current = conversation.id === openId;
  const online = client.presence.of(peer)?.online;
  return (
    <li>
      <button type="button" class="item" aria-current={current ? "true" : undefined} onClick={() => onOpen(conversation.id)}>
        <Avatar userId={peer} name={name} online={online} />
        <span class="item-body">
          <span class="item-top">
            <span class="item-name">{name}</span>
            {online && <span class="visually-hidden">, online</span>}
            {timeMs !== undefined && <time class="item-time">{listTime(timeMs, nowMs)}</time>}
          </span>
          <span class="item-bottom">
            <Preview client={client} view={view} />
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

function Preview({ client, view }: { client: ParleyClient; view: ConversationView }): JSX.Element {
  const pending = view.outgoing.at(-1);
  const newest = view.messages.at(-1);
  if (client.presence.typing(view.conversation.id).length > 0) return <span class="item-preview accent">typing…</span>;
  if (pending) {
    const line = pending.state === "failed" ? "Not sent" : `You: ${pending.text}`;
    return <span class={`item-preview ${pending.state === "failed" ? "danger" : ""}`}>{line}</span>;
  }
  const line = newest ? previewLine(newest, newest.senderId === client.userId) : "Say hello";
  return <span class={`item-preview ${view.unread > 0 ? "strong" : ""}`}>{line}</span>;
}
