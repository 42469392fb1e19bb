import type { JSX } from "preact";
import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import type { ConversationView, Failure, Message, ParleyClient } from "@parley/client";
import { moved } from "./menu";
import { MessageMenu, type MenuTarget, type MessageActions } from "./message-menu";
import { MessageRow } from "./message-row";
import type { Viewer } from "./conversation-text";
import { layOut } from "./timeline";
import { made, t } from "./text";

/** So close to the end (in pixels), the list follows what arrives. */
const FOLLOW_PX = 120;
/** Older messages are loaded this close to the top. */
const OLDER_PX = 200;

interface MessageListProps {
  readonly client: ParleyClient;
  readonly view: ConversationView;
  readonly viewer: Viewer;
  readonly nowMs: number;
  readonly typing: readonly string[];
  readonly name: string;
  readonly actions: Omit<MessageActions, "openMenu">;
  /** A message to load and show. */
  readonly target: number | undefined;
  readonly onShown: () => void;
}

/** The messages, with the actions for each. */
export function MessageList({ client, view, viewer, nowMs, typing, name, actions, target: seq, onShown }: MessageListProps): JSX.Element {
  const rows = layOut(view, client.userId, nowMs, client.encryption.view.news);
  const group = view.conversation.kind === "group";
  const { list, onScroll, letGo } = useScroll(client, view, typing.length > 0);
  useJump(client, view, seq, letGo, onShown);
  const [target, openMenu] = useState<MenuTarget | undefined>(undefined);
  const messageActions = { ...actions, openMenu };
  const chosen = target && view.messages.find((m) => m.seq === target.seq && m.content.kind !== "unsent");
  const tabStop = rows.findLast((row) => row.kind === "text" && isActive(row.message))?.key;
  const context = { client, viewer, group, conversationId: view.conversation.id, actions: messageActions };
  return (
    <>
      <div class="messages" ref={list} onScroll={onScroll} onKeyDown={walk} role="log" aria-label={t("messages")} tabIndex={0}>
        <div class="messages-inner">
          {view.hasOlder && <p class="older quiet">{t("messages.older")}</p>}
          {rows.length === 0 && <p class="older quiet">{t("messages.begin", { name })}</p>}
          {rows.map((row) => (
            <MessageRow key={row.key} row={row} tabStop={row.key === tabStop} {...context} />
          ))}
          {typing.length > 0 && <TypingRow name={group ? undefined : name} />}
        </div>
      </div>
      {target && chosen && <MessageMenu client={client} message={chosen} target={target} conversation={view.conversation} actions={messageActions} />}
    </>
  );
}

function isActive(message: Message | undefined): boolean {
  return message !== undefined && message.content.kind !== "unsent";
}

function TypingRow({ name }: { name: string | undefined }): JSX.Element {
  return (
    <div class="row other typing-row">
      <div class="bubble typing" data-testid="typing">
        <span class="visually-hidden">{t("typing.name", { name: name ?? made(t("someone")) })}</span>
        <span class="typing-dots" aria-hidden="true">
          <i />
          <i />
          <i />
        </span>
      </div>
    </div>
  );
}

/** The arrow keys lead from the actions of one message to those of the next. */
function walk(event: KeyboardEvent & { currentTarget: HTMLElement }): void {
  if (event.key !== "ArrowUp" && event.key !== "ArrowDown") return;
  if (!(event.target as HTMLElement).classList.contains("message-actions")) return;
  const next = moved([...event.currentTarget.querySelectorAll<HTMLElement>(".message-actions")], event.key);
  event.preventDefault();
  next?.focus();
}

/** Loads a message that may be far back, and scrolls to it. */
function useJump(client: ParleyClient, view: ConversationView, seq: number | undefined, letGo: () => void, onShown: () => void): void {
  const { id } = view.conversation;
  useEffect(() => {
    if (seq === undefined) return;
    letGo();
    const before = document.activeElement;
    client.messaging.loadUntil(id, seq).then(
      // Loaded messages are drawn in the next frame.
      (there) =>
        requestAnimationFrame(() => {
          if (!there || !show(seq, before)) client.showNotice(t("thread.gone"));
          onShown();
        }),
      (failure: Failure) => {
        client.showNotice(failure);
        onShown();
      },
    );
  }, [seq]);
}

/** Returns whether it is there. The focus goes to it, unless the reader has taken it elsewhere than `before` meanwhile. */
function show(seq: number, before: Element | null): boolean {
  const row = document.getElementById(`message-${seq}`);
  const list = row?.closest(".messages");
  // Not scrollIntoView, which moves the whole page too when the message is near an end.
  if (row && list) list.scrollTop += row.getBoundingClientRect().top - list.getBoundingClientRect().top - (list.clientHeight - row.clientHeight) / 2;
  const bubble = row?.querySelector(".bubble");
  bubble?.animate([{ outline: "3px solid var(--accent-text)", outlineOffset: "2px" }, { outline: "3px solid transparent", outlineOffset: "6px" }], { duration: 1600 });
  const isElsewhere = document.activeElement !== before && document.activeElement !== document.body;
  if (!isElsewhere) row?.querySelector<HTMLElement>(".message-actions")?.focus({ preventScroll: true });
  return row !== null;
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
    // One's own new message is always scrolled to.
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
  /** Somebody looks for a place above: the end is not followed. */
  const letGo = (): void => {
    following.current = false;
    fromBottom.current = (list.current?.scrollHeight ?? 0) - (list.current?.scrollTop ?? 0);
  };
  return { list, onScroll, letGo };
}
