import type { JSX } from "preact";
import { useEffect, useState } from "preact/hooks";
import type { Conversation, ConversationView, Failure, Message, ParleyClient } from "../parley";
import { Avatar } from "./avatar";
import { Composer, type Task } from "./composer";
import { Question } from "./dialog";
import { presenceLine } from "./format";
import { GroupPanel } from "./group-panel";
import { useAttention } from "./hooks";
import { Icon } from "./icons";
import { MessageList } from "./message-list";
import { faceOf, type Reader, typingLine } from "./people";
import { StreamLine } from "./status-lines";

interface ThreadProps {
  readonly client: ParleyClient;
  readonly view: ConversationView;
  readonly nameOf: (userId: string) => string;
  readonly nowMs: number;
  readonly drafts: Map<string, string>;
  readonly onClose: () => void;
}

/** Fewer messages than this do not fill a screen. */
const SCREENFUL = 30;

/** One conversation: who, what was said, and the line to write in. */
export function Thread({ client, view, nameOf, nowMs, drafts, onClose }: ThreadProps): JSX.Element {
  const { conversation } = view;
  const reader = { selfId: client.userId, nameOf };
  const face = faceOf(conversation, reader);
  const [task, setTask] = useState<Task | undefined>(undefined);
  const [unsending, setUnsending] = useState<Message | undefined>(undefined);
  const [panel, setPanel] = useState(false);
  useReading(client, view);
  const actions = {
    reply: (message: Message) => setTask({ kind: "reply", message }),
    edit: (message: Message) => setTask({ kind: "edit", message }),
    unsend: setUnsending,
    react: (message: Message, emoji: string) => react(client, message, emoji),
  };
  const list = { client, view, reader, nowMs, actions, name: face.name, typing: client.presence.typing(conversation.id) };
  return (
    <div class={`thread-frame ${panel ? "has-panel" : ""}`}>
      <section class="thread" aria-label={`Conversation with ${face.name}`}>
        <ThreadHeader client={client} conversation={conversation} reader={reader} nowMs={nowMs} onClose={onClose} panel={panel} setPanel={setPanel} />
        <div class="narrow-only">
          <StreamLine client={client} />
        </div>
        <MessageList {...list} />
        <Composer client={client} conversation={conversation} reader={reader} name={face.name} drafts={drafts} task={task} onDone={() => setTask(undefined)} />
      </section>
      {panel && conversation.kind === "group" && <GroupPanel client={client} conversation={conversation} reader={reader} nowMs={nowMs} onClose={() => setPanel(false)} />}
      {unsending && (
        <Question
          title="Unsend this message?"
          body="It disappears for everyone. That it was there stays visible."
          verb="Unsend"
          danger
          act={() => client.messaging.unsend(conversation.id, unsending.seq)}
          onClose={() => setUnsending(undefined)}
        />
      )}
    </div>
  );
}

/** Puts one's reaction on, or takes it away when it is there. */
function react(client: ParleyClient, message: Message, emoji: string): void {
  const mine = message.reactions.some((r) => r.emoji === emoji && r.userIds.includes(client.userId));
  void client.messaging.react(message.conversationId, message.seq, emoji, !mine).catch((failure: Failure) => client.tell(failure.line));
}

/** Marks as read what is seen, and brings enough to fill the screen. */
function useReading(client: ParleyClient, view: ConversationView): void {
  const { id } = view.conversation;
  const attentive = useAttention();
  const newestSeq = view.messages.at(-1)?.seq ?? 0;
  useEffect(() => {
    if (attentive) void client.messaging.markRead(id);
  }, [attentive, newestSeq, client.stream.kind]);
  useEffect(() => {
    if (view.messages.length < SCREENFUL && view.hasOlder) void client.messaging.loadOlder(id).catch(() => undefined);
  }, [client.stream.kind]);
}

interface ThreadHeaderProps {
  readonly client: ParleyClient;
  readonly conversation: Conversation;
  readonly reader: Reader;
  readonly nowMs: number;
  readonly onClose: () => void;
  readonly panel: boolean;
  readonly setPanel: (open: boolean) => void;
}

function ThreadHeader({ client, conversation, reader, nowMs, onClose, panel, setPanel }: ThreadHeaderProps): JSX.Element {
  const { id, name, peer } = faceOf(conversation, reader);
  const presence = peer ? client.presence.of(peer) : undefined;
  const typing = client.presence.typing(conversation.id);
  const count = conversation.members.length;
  const quiet = peer ? presenceLine(presence, nowMs) : `${count} ${count === 1 ? "member" : "members"}`;
  return (
    <header class="thread-header">
      <button type="button" class="icon-button back" aria-label="Back to conversations" onClick={onClose}>
        <Icon name="back" />
      </button>
      <Avatar userId={id} name={name} online={presence?.online} />
      <div class="grow">
        <h2>{name}</h2>
        <p class={`presence ${typing.length > 0 ? "accent" : "quiet"}`} data-testid="presence">
          {typing.length > 0 ? typingLine(typing, conversation.kind, reader) : quiet}
        </p>
      </div>
      {peer ? (
        <CallButtons client={client} conversationId={conversation.id} peer={peer} name={name} />
      ) : (
        <button type="button" class="icon-button accent" aria-label="Group details" title="Group details" aria-expanded={panel} onClick={() => setPanel(!panel)}>
          <Icon name="people" />
        </button>
      )}
    </header>
  );
}

interface CallButtonsProps {
  readonly client: ParleyClient;
  readonly conversationId: string;
  readonly peer: string;
  readonly name: string;
}

function CallButtons({ client, conversationId, peer, name }: CallButtonsProps): JSX.Element {
  const phase = client.calls.view().phase;
  const busy = phase !== "idle" && phase !== "ended";
  const dial = (video: boolean) => () => client.calls.dial(conversationId, peer, video);
  return (
    <>
      <button type="button" class="icon-button accent" aria-label={`Voice call with ${name}`} title="Voice call" disabled={busy} onClick={dial(false)}>
        <Icon name="phone" />
      </button>
      <button type="button" class="icon-button accent" aria-label={`Video call with ${name}`} title="Video call" disabled={busy} onClick={dial(true)}>
        <Icon name="video" />
      </button>
    </>
  );
}
