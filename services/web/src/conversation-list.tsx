import type { JSX } from "preact";
import type { ConversationView, Folder, ParleyClient } from "@parley/client";
import { folderOf } from "@parley/client";
import { ConversationItem } from "./conversation-item";
import type { IconName } from "./icons";
import { Icon } from "./icons";

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

const TITLES: Record<Folder, string> = { inbox: "Conversations", requests: "Message requests", archived: "Archived" };
const EMPTY: Record<Folder, string> = {
  inbox: "No conversations yet. Start one with the plus sign.",
  requests: "No requests. Messages of people who may not write to you right away wait here.",
  archived: "Nothing is archived.",
};

/** The conversations of one folder; from the inbox the ways to the others. */
export function ConversationList({ views, folder, setFolder, ...rest }: ConversationListProps): JSX.Element {
  const inFolder = (wanted: Folder): ConversationView[] => views.filter((view) => folderOf(view.own) === wanted);
  const shown = inFolder(folder);
  const requests = inFolder("requests").length;
  const archived = inFolder("archived").length;
  const loading = shown.length === 0 && !rest.client.messaging.ready;
  return (
    <nav aria-label={TITLES[folder]} class="list">
      {folder !== "inbox" && (
        <header class="folder-header">
          <button type="button" class="icon-button" aria-label="Back to all conversations" title="Back" onClick={() => setFolder("inbox")}>
            <Icon name="back" />
          </button>
          <h2>{TITLES[folder]}</h2>
        </header>
      )}
      {folder === "requests" && shown.length > 0 && <p class="folder-hint">Open one to look at it. Nobody learns of it until you accept.</p>}
      {folder === "inbox" && requests > 0 && <FolderRow icon="inbox" label="Message requests" count={requests} onClick={() => setFolder("requests")} />}
      {shown.length === 0 && <p class="list-hint">{loading ? "Loading…" : EMPTY[folder]}</p>}
      <ul>
        {shown.map((view) => (
          <ConversationItem key={view.conversation.id} view={view} {...rest} />
        ))}
      </ul>
      {rest.client.messaging.hasMore && (
        <button type="button" class="more-button" onClick={() => void rest.client.messaging.loadMore().catch(() => undefined)}>
          Show older conversations
        </button>
      )}
      {folder === "inbox" && archived > 0 && <FolderRow icon="archive" label="Archived" count={archived} quiet onClick={() => setFolder("archived")} />}
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
      <span class={quiet ? "quiet" : "badge"}>{count}</span>
    </button>
  );
}
