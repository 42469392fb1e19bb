import type { JSX } from "preact";
import { useEffect, useLayoutEffect, useMemo, useRef, useState } from "preact/hooks";
import type { ConversationView, Failure, ParleyClient } from "@parley/client";
import type { Viewer } from "./conversation-text";
import { Icon } from "./icons";
import { language } from "./language";
import { MessageMenu, type MenuTarget, type MessageActions } from "./message-menu";
import { MessageRow } from "./message-row";
import { made, t } from "./text";
import { layOut, type Row } from "./timeline";
import { keyOf, useWindow } from "./use-window";

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

/** What ARIA says of a list that goes on at the service. */
const UNKNOWN_COUNT = -1;

/** The messages, with the actions for each. Of a long conversation only the rows near the reader are drawn. */
export function MessageList({ client, view, viewer, nowMs, typing, name, actions, target: seq, onShown }: MessageListProps): JSX.Element {
  const { news } = client.encryption.view;
  // Of what was new when it was opened: reading it moves no line.
  const [readSeq] = useState(view.unread > 0 ? view.own.readSeq : undefined);
  const rows = useMemo(() => layOut(view, client.userId, nowMs, news, readSeq), [view, client, nowMs, news, readSeq, language.code]);
  const group = view.conversation.kind === "group";
  const tabStop = rows.findLast(isOpen)?.key;
  const { box, list, following, toHome, indexes, beforePx, afterPx, ...on } = useRows(client, view, rows, tabStop, seq, onShown);
  const [target, openMenu] = useState<MenuTarget | undefined>(undefined);
  const messageActions = { ...actions, openMenu };
  const chosen = target && view.messages.find((m) => m.seq === target.seq && m.content.kind !== "unsent");
  const context = { client, viewer, group, conversationId: view.conversation.id, actions: messageActions };
  return (
    <>
      {/* What comes into sight while one scrolls is not new, and not read out. */}
      <div class="messages" ref={box} {...on} role="log" aria-live={following ? "polite" : "off"} aria-label={t("messages")} tabIndex={0}>
        <div class="messages-inner">
          {view.hasOlder && <p class="older quiet">{t("messages.older")}</p>}
          {rows.length === 0 && <p class="older quiet">{t("messages.begin", { name })}</p>}
          <div ref={list} role={rows.length > 0 ? "list" : undefined} style={{ paddingBlockStart: `${beforePx}px`, paddingBlockEnd: `${afterPx}px` }}>
            {indexes.map((index) => {
              const row = rows[index] as Row;
              return (
                <div key={row.key} class="message-place" data-key={row.key} role="listitem" aria-posinset={index + 1} aria-setsize={view.hasOlder ? UNKNOWN_COUNT : rows.length}>
                  <MessageRow row={row} tabStop={row.key === tabStop} {...context} />
                </div>
              );
            })}
          </div>
          {typing.length > 0 && <TypingRow name={group ? undefined : name} />}
        </div>
      </div>
      {!following && (
        <div class="newest-place">
          <button type="button" class="newest icon-button" aria-label={t("messages.newest")} title={t("messages.newest")} onClick={toHome}>
            <Icon name="down" />
          </button>
        </div>
      )}
      {target && chosen && <MessageMenu client={client} message={chosen} target={target} conversation={view.conversation} actions={messageActions} />}
    </>
  );
}

/** Whether there is something to do with it. */
function isOpen(row: Row): boolean {
  return row.kind === "text" && row.message !== undefined && row.message.content.kind !== "unsent";
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

/** Which rows are drawn, and how the reader goes through them: by scrolling, by the arrow keys, and by jumping to a message. */
function useRows(client: ParleyClient, view: ConversationView, rows: readonly Row[], tabStop: string | undefined, target: number | undefined, onShown: () => void) {
  const keys = useMemo(() => rows.map(({ key }) => key), [rows]);
  const [focused, setFocused] = useState("");
  const kept = [focused, tabStop].filter((key): key is string => Boolean(key));
  const { reveal, focusCame, toHome, onScroll, ...list } = useWindow<HTMLDivElement, HTMLDivElement>(keys, "end", kept);
  const own = view.outgoing.length;
  useLayoutEffect(() => {
    // One's own new message is always scrolled to.
    if (own > 0) toHome();
  }, [own]);
  const latest = useRef(rows);
  latest.current = rows;
  const find = (seq: number): string | undefined => latest.current.find((row) => "message" in row && row.message?.seq === seq)?.key;
  useJump(client, view.conversation.id, target, onShown, (seq, then) => {
    const key = find(seq);
    if (key === undefined) return false;
    reveal(key, (row) => {
      then(row);
      // Before its event comes, a drawing would go back to where the reader was.
      onScroll();
    });
    return true;
  });
  const onScrolled = (): void => {
    onScroll();
    if ((list.box.current?.scrollTop ?? 0) < OLDER_PX && view.hasOlder) void client.messaging.loadOlder(view.conversation.id).catch(() => undefined);
  };
  const onFocusIn = (event: FocusEvent): void => {
    const key = keyOf(event.target);
    setFocused(key ?? "");
    if (key !== undefined) focusCame(key);
  };
  /** The arrow keys lead from the actions of one message to those of the next. */
  const onKeyDown = (event: KeyboardEvent): void => {
    const steps: Partial<Record<string, number>> = { ArrowUp: -1, ArrowDown: 1 };
    const step = steps[event.key];
    if (step === undefined || !(event.target as HTMLElement).classList.contains("message-actions")) return;
    event.preventDefault();
    const at = keys.indexOf(keyOf(event.target) ?? "");
    const next = step < 0 ? rows.slice(0, at).findLast(isOpen) : rows.slice(at + 1).find(isOpen);
    if (next) reveal(next.key, (row) => row.querySelector<HTMLElement>(".message-actions")?.focus({ preventScroll: true }));
  };
  return { ...list, toHome, onScroll: onScrolled, onFocusIn, onKeyDown };
}

/** Loads a message that may be far back, and brings it to the middle. `reveal` returns whether there is such a row. */
function useJump(client: ParleyClient, conversationId: string, seq: number | undefined, onShown: () => void, reveal: (seq: number, then: (row: HTMLElement) => void) => boolean): void {
  const latest = useRef(reveal);
  latest.current = reveal;
  useEffect(() => {
    if (seq === undefined) return;
    const before = document.activeElement;
    client.messaging.loadUntil(conversationId, seq).then(
      // Loaded messages are drawn in the next frame.
      (there) =>
        requestAnimationFrame(() => {
          if (!there || !latest.current(seq, (row) => show(row, before))) client.showNotice(t("thread.gone"));
          onShown();
        }),
      (failure: Failure) => {
        client.showNotice(failure);
        onShown();
      },
    );
  }, [seq]);
}

/** The focus goes to it, unless the reader has taken it elsewhere than `before` meanwhile. */
function show(row: HTMLElement, before: Element | null): void {
  const list = row.closest(".messages");
  // Not scrollIntoView, which moves the whole page too when the message is near an end.
  if (list) list.scrollTop += row.getBoundingClientRect().top - list.getBoundingClientRect().top - (list.clientHeight - row.clientHeight) / 2;
  const bubble = row.querySelector(".bubble");
  bubble?.animate?.([{ outline: "3px solid var(--accent-text)", outlineOffset: "2px" }, { outline: "3px solid transparent", outlineOffset: "6px" }], { duration: 1600 });
  const isElsewhere = document.activeElement !== before && document.activeElement !== document.body;
  if (!isElsewhere) row.querySelector<HTMLElement>(".message-actions")?.focus({ preventScroll: true });
}
