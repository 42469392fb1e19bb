import type { JSX } from "preact";
import type { ConversationView, Folder, ParleyClient } from "@parley/client";
import { folderOf } from "@parley/client";
import { useEffect, useMemo, useState } from "preact/hooks";
import { ConversationItem } from "./conversation-item";
import { useChanges } from "./hooks";
import type { IconName } from "./icons";
import { Icon } from "./icons";
import { language } from "./language";
import { memo, useFacts } from "./memo";
import { numberLine, type PlainKey, t } from "./text";
import { keyOf, useWindow } from "./use-window";

interface ConversationListProps {
  readonly client: ParleyClient;
  readonly views: readonly ConversationView[];
  readonly folder: Folder;
  readonly setFolder: (folder: Folder) => void;
  readonly openId: string;
  readonly nameOf: (userId: string) => string;
  readonly nowMs: number;
  readonly onOpen: (conversationId: string) => void;
}

const TITLES: Record<Folder, PlainKey> = { inbox: "conversations", requests: "requests", archived: "archived" };
const EMPTY: Record<Folder, PlainKey> = { inbox: "inbox.empty", requests: "requests.empty", archived: "archived.empty" };

/** What ARIA says of a list that goes on at the service. */
const UNKNOWN_COUNT = -1;

/** The conversations of one folder; from the inbox the ways to the others. Drawn again for another list; its rows look after themselves. */
export const ConversationList = memo(function ConversationList(props: ConversationListProps): JSX.Element {
  useChanges(language);
  // Each folder begins at its own top.
  return <FolderList key={props.folder} {...props} />;
});

/** Of a long list only the rows near the reader are drawn. The arrow keys, Home and End go through all of it. */
function FolderList({ views, folder, setFolder, ...rest }: ConversationListProps): JSX.Element {
  const [shown, requests, archived] = useMemo(() => {
    const inFolder = (wanted: Folder): ConversationView[] => views.filter((view) => folderOf(view.own) === wanted);
    return [inFolder(folder), inFolder("requests").length, inFolder("archived").length] as const;
  }, [views, folder]);
  const { messaging } = rest.client;
  const { ready, hasMore } = useFacts(rest.client, () => ({ ready: messaging.ready, hasMore: messaging.hasMore }));
  const loading = shown.length === 0 && !ready;
  const rows = useRows(shown, rest.openId);
  return (
    <nav aria-label={t(TITLES[folder])} class="list" ref={rows.box} onScroll={rows.onScroll}>
      {folder !== "inbox" && (
        <header class="folder-header">
          <button type="button" class="icon-button" aria-label={t("folders.back")} title={t("back")} onClick={() => setFolder("inbox")}>
            <Icon name="back" />
          </button>
          <h2>{t(TITLES[folder])}</h2>
        </header>
      )}
      {folder === "requests" && shown.length > 0 && <p class="folder-hint">{t("requests.hint")}</p>}
      {folder === "inbox" && requests > 0 && <FolderRow icon="inbox" label={t("requests")} count={requests} onClick={() => setFolder("requests")} />}
      {shown.length === 0 && <p class="list-hint">{loading ? t("loading") : t(EMPTY[folder])}</p>}
      <ul ref={rows.list} style={{ paddingBlockStart: `${rows.beforePx}px`, paddingBlockEnd: `${rows.afterPx}px` }} onKeyDown={rows.onKeyDown} onFocusIn={rows.onFocusIn}>
        {rows.indexes.map((index) => {
          const view = shown[index] as ConversationView;
          const { id } = view.conversation;
          return <ConversationItem key={id} view={view} tabStop={id === rows.stop} position={index + 1} count={hasMore ? UNKNOWN_COUNT : shown.length} {...rest} />;
        })}
      </ul>
      {hasMore && (
        <button type="button" class="more-button" onClick={() => void messaging.loadMore().catch(() => undefined)}>
          {t("list.older")}
        </button>
      )}
      {folder === "inbox" && archived > 0 && <FolderRow icon="archive" label={t("archived")} count={archived} quiet onClick={() => setFolder("archived")} />}
    </nav>
  );
}

/** Which rows are drawn, which of them Tab reaches, and the keys that go from one to the next. */
function useRows(shown: readonly ConversationView[], openId: string) {
  const ids = shown.map(({ conversation }) => conversation.id);
  const [focused, setFocused] = useState("");
  const isHere = (id: string): boolean => id !== "" && ids.includes(id);
  const stop = [focused, openId].find(isHere) ?? ids[0];
  const { reveal, focusCame, ...list } = useWindow<HTMLElement, HTMLUListElement>(ids, "start", stop === undefined ? [] : [stop]);
  const opened = isHere(openId);
  useEffect(() => {
    if (opened) reveal(openId);
  }, [openId, opened]);
  const onFocusIn = (event: FocusEvent): void => {
    const id = keyOf(event.target);
    if (id === undefined) return;
    setFocused(id);
    focusCame(id);
  };
  const onKeyDown = (event: KeyboardEvent): void => {
    const at = ids.indexOf(keyOf(event.target) ?? "");
    const last = ids.length - 1;
    const targets: Partial<Record<string, number>> = { ArrowDown: Math.min(at + 1, last), ArrowUp: Math.max(at - 1, 0), Home: 0, End: last };
    const target = targets[event.key];
    // A row's menu has used the key already.
    if (at < 0 || target === undefined || event.defaultPrevented || event.altKey || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    reveal(ids[target] as string, (row) => row.querySelector<HTMLElement>(".item")?.focus({ preventScroll: true }));
  };
  return { ...list, stop, onKeyDown, onFocusIn };
}

interface FolderRowProps {
  readonly icon: IconName;
  readonly label: string;
  readonly count: number;
  readonly quiet?: boolean;
  readonly onClick: () => void;
}

function FolderRow({ icon, label, count, quiet = false, onClick }: FolderRowProps): JSX.Element {
  return (
    <button type="button" class="folder-row" onClick={onClick}>
      <span class="folder-icon">
        <Icon name={icon} />
      </span>
      <span class="grow">{label}</span>
      <span class={quiet ? "quiet" : "badge"}>{numberLine(count)}</span>
    </button>
  );
}
