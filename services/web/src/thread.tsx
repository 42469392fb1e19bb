import type { JSX } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import type { ConversationView, Failure, Message, ParleyClient } from "@parley/client";
import { isSameEmoji } from "@parley/client";
import { CallBanner } from "./call-banner";
import { Composer, type Task } from "./composer";
import { DropArea } from "./drop-area";
import { useAttention } from "./hooks";
import { MessageDialogs, type OpenDialog } from "./message-dialogs";
import { MessageList } from "./message-list";
import { titleOf } from "./conversation-text";
import { PinBar } from "./pin-bar";
import { RequestBar, usePermission } from "./request-bar";
import { ScheduledBar } from "./scheduled-bar";
import { StreamLine } from "./status-lines";
import { ThreadHeader } from "./thread-header";
import { ThreadPanel, type PanelKind } from "./thread-panel";
import { useFilePicker } from "./file-picker";
import { t } from "./text";

/** A message to show, wherever it is in the history. */
export interface JumpTarget {
  readonly conversationId: string;
  readonly seq: number;
}

interface ThreadProps {
  readonly client: ParleyClient;
  readonly view: ConversationView;
  readonly nameOf: (userId: string) => string;
  readonly nowMs: number;
  readonly target: JumpTarget | undefined;
  readonly setTarget: (target: JumpTarget | undefined) => void;
  readonly onClose: () => void;
}

/** Fewer messages than this do not fill a screen. */
const PAGE_OF_MESSAGES = 30;

/** One conversation: header, messages and composer. */
export function Thread({ client, view, nameOf, nowMs, target, setTarget, onClose }: ThreadProps): JSX.Element {
  const { conversation } = view;
  const viewer = { selfId: client.userId, nameOf };
  const face = titleOf(conversation, viewer);
  const [task, setTask] = useState<Task | undefined>(undefined);
  const [dialog, setDialog] = useState<OpenDialog | undefined>(undefined);
  const [panel, setPanel] = useState<PanelKind | undefined>(undefined);
  const permission = usePermission(client, view, face.peer);
  const picking = useFilePicker(client, conversation.id, permission === "write");
  useReading(client, view);
  const actions = {
    reply: (message: Message) => setTask({ kind: "reply", message }),
    edit: (message: Message) => setTask({ kind: "edit", message }),
    unsend: (message: Message) => setDialog({ kind: "unsend", message }),
    forward: (message: Message) => setDialog({ kind: "forward", message }),
    history: (message: Message) => setDialog({ kind: "history", message }),
    readers: (message: Message) => setDialog({ kind: "readers", message }),
    report: (message: Message) => setDialog({ kind: "report", seqs: [message.seq] }),
    react: (message: Message, emoji: string) => react(client, message, emoji),
    pin: (message: Message, pinned: boolean) => pin(client, message, pinned),
    jump: (seq: number) => setTarget({ conversationId: conversation.id, seq }),
  };
  const common = { client, view, conversation, viewer, nowMs, face, name: face.name };
  return (
    <div class={`thread-frame ${panel ? "has-panel" : ""}`}>
      <DropArea onFiles={picking.add} enabled={permission === "write"} class="thread" label={t("thread.with", { name: face.name })}>
        <ThreadHeader {...common} {...{ onClose, panel, setPanel }} onDialog={setDialog} />
        <PinBar {...{ view, viewer }} jump={actions.jump} />
        <CallBanner {...{ client, conversation, viewer }} />
        <div class="narrow-only">
          <StreamLine client={client} />
        </div>
        <MessageList {...common} actions={actions} typing={client.presence.typing(conversation.id)} target={target?.seq} onShown={() => setTarget(undefined)} />
        <ScheduledBar {...{ client, conversation, viewer }} />
        {permission === "write" ? (
          <Composer {...common} task={task} onDone={() => setTask(undefined)} picking={picking} />
        ) : (
          <RequestBar {...common} permission={permission} onReport={() => setDialog({ kind: "report", seqs: [] })} onClose={onClose} />
        )}
      </DropArea>
      {panel && <ThreadPanel kind={panel} {...common} onJump={actions.jump} onDialog={setDialog} onClose={() => setPanel(undefined)} />}
      {dialog && <MessageDialogs dialog={dialog} {...common} onClose={() => setDialog(undefined)} />}
    </div>
  );
}

/** Puts one's reaction on, or takes it away when it is there. */
function react(client: ParleyClient, message: Message, emoji: string): void {
  const mine = message.reactions.some((r) => isSameEmoji(r.emoji, emoji) && r.userIds.includes(client.userId));
  void client.messaging.react(message.conversationId, message.seq, emoji, !mine).catch((failure: Failure) => client.showNotice(failure));
}

function pin(client: ParleyClient, { conversationId, seq }: Message, pinned: boolean): void {
  void client.groups.pin(conversationId, seq, pinned).catch((failure: Failure) => client.showNotice(failure));
}

/** Marks visible messages as read, unless it is a request, and loads enough to fill the screen. */
function useReading(client: ParleyClient, view: ConversationView): void {
  const { id } = view.conversation;
  const attentive = useAttention();
  const newestSeq = view.messages.at(-1)?.seq ?? 0;
  const asked = useRef(false);
  useEffect(() => {
    if (attentive) void client.messaging.markRead(id);
  }, [attentive, newestSeq, client.stream.kind, view.own.request]);
  useEffect(() => {
    if (asked.current || view.messages.length >= PAGE_OF_MESSAGES || !view.hasOlder || client.stream.kind !== "live") return;
    asked.current = true;
    void client.messaging.loadOlder(id).catch(() => (asked.current = false));
  }, [client.stream.kind, view.hasOlder]);
}
