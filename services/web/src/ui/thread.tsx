import type { JSX } from "preact";
import { useEffect, useLayoutEffect, useRef } from "preact/hooks";
import type { ConversationView, ParleyClient } from "../parley";
import { Avatar } from "./avatar";
import { Composer } from "./composer";
import { presenceLine } from "./format";
import { useAttention } from "./hooks";
import { Icon } from "./icons";
import { MessageRow } from "./message-row";
import { StreamLine } from "./status-lines";
import { layOut } from "./timeline";

interface ThreadProps {
  readonly client: ParleyClient;
  readonly view: ConversationView;
  readonly nameOf: (userId: string) => string;
  readonly nowMs: number;
  readonly drafts: Map<string, string>;
  readonly onClose: () => void;
}

/** So close to the end (in pixels), the list follows what arrives. */
const FOLLOW_PX = 120;
/** So close to the top, older messages are brought. */
const OLDER_PX = 200;
/** Fewer messages than this do not fill a screen. */
const SCREENFUL = 30;

/** One conversation: who, what was said, and the line to write in. */
export function Thread({ client, view, nameOf, nowMs, drafts, onClose }: ThreadProps): JSX.Element {
  const { conversation } = view;
  const peer = conversation.members.find((m) => m.userId !== client.userId)?.userId ?? client.userId;
  const attentive = useAttention();
  const typing = client.presence.typing(conversation.id).length > 0;
  const newestSeq = view.messages.at(-1)?.seq ?? 0;
  useEffect(() => {
    if (attentive) void client.messaging.markRead(conversation.id);
  }, [attentive, newestSeq, client.stream.kind]);
  useEffect(() => {
    if (view.messages.length < SCREENFUL && view.hasOlder) void client.messaging.loadOlder(conversation.id).catch(() => undefined);
  }, [client.stream.kind]);
  return (
    <section class="thread" aria-label={`Conversation with ${nameOf(peer)}`}>
      <ThreadHeader client={client} conversationId={conversation.id} peer={peer} name={nameOf(peer)} nowMs={nowMs} onClose={onClose} />
      <div class="narrow-only">
        <StreamLine client={client} />
      </div>
      <MessageList client={client} view={view} nowMs={nowMs} typing={typing} peerName={nameOf(peer)} />
      <Composer client={client} conversationId={conversation.id} peerName={nameOf(peer)} drafts={drafts} />
    </section>
  );
}

interface ThreadHeaderProps {
  readonly client: ParleyClient;
  readonly conversationId: string;
  readonly peer: string;
  readonly name: string;
  readonly nowMs: number;
  readonly onClose: () => void;
}

function ThreadHeader({ client, conversationId, peer, name, nowMs, onClose }: ThreadHeaderProps): JSX.Element {
  const presence = client.presence.of(peer);
  const typing = client.presence.typing(conversationId).length > 0;
  const phase = client.calls.view().phase;
  const busy = phase !== "idle" && phase !== "ended";
  const dial = (video: boolean) => () => client.calls.dial(conversationId, peer, video);
  return (
    <header class="thread-header">
      <button type="button" class="icon-button back" aria-label="Back to conversations" onClick={onClose}>
        <Icon name="back" />
      </button>
      <Avatar userId={peer} name={name} online={presence?.online} />
      <div class="grow">
        <h2>{name}</h2>
        <p class={`presence ${typing ? "accent" : "quiet"}`} data-testid="presence">
          {typing ? "typing…" : presenceLine(presence, nowMs)}
        </p>
      </div>
      <button type="button" class="icon-button accent" aria-label={`Voice call with ${name}`} title="Voice call" disabled={busy} onClick={dial(false)}>
        <Icon name="phone" />
      </button>
      <button type="button" class="icon-button accent" aria-label={`Video call with ${name}`} title="Video call" disabled={busy} onClick={dial(true)}>
        <Icon name="video" />
      </button>
    </header>
  );
}

interface MessageListProps {
  readonly client: ParleyClient;
  readonly view: ConversationView;
  readonly nowMs: number;
  readonly typing: boolean;
  readonly peerName: string;
}

function MessageList({ client, view, nowMs, typing, peerName }: MessageListProps): JSX.Element {
  const rows = layOut(view, client.userId, nowMs);
  const { list, onScroll } = useScroll(client, view, typing);
  return (
    <div class="messages" ref={list} onScroll={onScroll} role="log" aria-label="Messages" tabIndex={0}>
      <div class="messages-inner">
        {view.hasOlder && <p class="older quiet">Loading earlier messages…</p>}
        {rows.length === 0 && <p class="older quiet">This is the beginning of your conversation with {peerName}.</p>}
        {rows.map((row) => (
          <MessageRow key={row.key} row={row} client={client} conversationId={view.conversation.id} />
        ))}
        {typing && (
          <div class="row other typing-row">
            <div class="bubble typing" data-testid="typing">
              <span class="visually-hidden">{peerName} is typing…</span>
              <span class="typing-dots" aria-hidden="true">
                <i />
                <i />
                <i />
              </span>
            </div>
          </div>
        )}
      </div>
    </div>
  );
}

/** Follows the end while the reader is there, keeps the place when older messages come in above. */
function useScroll(client: ParleyClient, view: ConversationView, typing: boolean) {
  const list = useRef<HTMLDivElement>(null);
  const following = useRef(true);
  const fromBottom = useRef(0);
  const lowSeq = view.messages[0]?.seq ?? 0;
  const own = view.outgoing.length;
  const keepEnd = (): void => {
    const box = list.current;
    if (box && following.current) box.scrollTop = box.scrollHeight;
  };
  useLayoutEffect(() => {
    const box = list.current;
    if (box && !following.current) box.scrollTop = box.scrollHeight - fromBottom.current;
  }, [lowSeq]);
  useLayoutEffect(() => {
    // What one writes oneself is always shown.
    if (own > 0) following.current = true;
  }, [own]);
  useLayoutEffect(keepEnd, [view.messages, own, typing]);
  useEffect(() => {
    const observer = new ResizeObserver(keepEnd);
    if (list.current) observer.observe(list.current);
    return () => observer.disconnect();
  }, []);
  const onScroll = (): void => {
    const box = list.current;
    if (!box) return;
    fromBottom.current = box.scrollHeight - box.scrollTop;
    following.current = fromBottom.current - box.clientHeight < FOLLOW_PX;
    if (box.scrollTop < OLDER_PX && view.hasOlder) void client.messaging.loadOlder(view.conversation.id).catch(() => undefined);
  };
  return { list, onScroll };
}
