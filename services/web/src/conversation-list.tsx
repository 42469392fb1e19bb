import type { JSX } from "preact";
import type { ConversationView, Folder, ParleyClient } from "@parley/client";
import { folderOf } from "@parley/client";
import { ConversationItem } from "./conversation-item";
import type { IconName } from "./icons";
import { Icon } from "./icons";
import { numberLine, type PlainKey, t } from "./text";

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

/** The conversations of one folder; from the inbox the ways to the others. */
export function ConversationList({ views, folder, setFolder, ...rest }: ConversationListProps): JSX.Element {
  const inFolder = (wanted: Folder): ConversationView[] => views.filter((view) => folderOf(view.own) === wanted);
  const shown = inFolder(folder);
  const requests = inFolder("requests").length;
  const archived = inFolder("archived").length;
  const loading = shown.length === 0 && !rest.client.messaging.ready;
  return (
    <nav aria-label={t(TITLES[folder])} class="list">
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
      <ul>
        {shown.map((view) => (
          <ConversationItem key={view.conversation.id} view={view} {...rest} />
        ))}
      </ul>
      {rest.client.messaging.hasMore && (
        <button type="button" class="more-button" onClick={() => void rest.client.messaging.loadMore().catch(() => undefined)}>
          {t("list.older")}
        </button>
      )}
      {folder === "inbox" && archived > 0 && <FolderRow icon="archive" label={t("archived")} count={archived} quiet onClick={() => setFolder("archived")} />}
    </nav>
  );
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
