import type { JSX } from "preact";
import { useState } from "preact/hooks";
import type { Conversation, ParleyClient } from "@parley/client";
import { GalleryPanel } from "./gallery";
import { GroupPanel } from "./group-panel";
import { useEscape } from "./hooks";
import { Icon } from "./icons";
import type { OpenDialog } from "./message-dialogs";
import type { Viewer } from "./conversation-text";
import { SearchField, SearchResults } from "./search";
import { t } from "./text";

export type PanelKind = "group" | "search" | "gallery";

interface ThreadPanelProps {
  readonly kind: PanelKind;
  readonly client: ParleyClient;
  readonly conversation: Conversation;
  readonly viewer: Viewer;
  readonly nowMs: number;
  readonly onJump: (seq: number) => void;
  readonly onDialog: (dialog: OpenDialog) => void;
  readonly onClose: () => void;
}

/** The panel beside a conversation: the group's details, a search, or what was sent in it. */
export function ThreadPanel({ kind, ...props }: ThreadPanelProps): JSX.Element | null {
  const show = (seq: number): void => {
    props.onJump(seq);
    // On a narrow screen the panel covers the conversation.
    if (matchMedia("(max-width: 1000px)").matches) props.onClose();
  };
  if (kind === "search") return <SearchPanel {...props} onShow={show} />;
  if (kind === "gallery") return <GalleryPanel {...props} onShow={show} />;
  return props.conversation.kind === "group" ? <GroupPanel {...props} /> : null;
}

type SearchPanelProps = Pick<ThreadPanelProps, "client" | "conversation" | "viewer" | "nowMs" | "onClose"> & { readonly onShow: (seq: number) => void };

function SearchPanel({ client, conversation, viewer, nowMs, onShow, onClose }: SearchPanelProps): JSX.Element {
  const [query, setQuery] = useState("");
  useEscape(onClose);
  return (
    <aside class="panel" aria-label={t("search.in")}>
      <header class="panel-header">
        <h2 class="grow">{t("search")}</h2>
        <button type="button" class="icon-button" aria-label={t("search.close")} title={t("close.esc")} onClick={onClose}>
          <Icon name="close" />
        </button>
      </header>
      <SearchField label={t("search.in.this")} value={query} maxChars={client.limits.queryChars} focused onChange={setQuery} />
      <div class="list">
        {query.trim() && (
          <SearchResults {...{ client, query, viewer, nowMs }} conversationId={conversation.id} onChoose={(message) => onShow(message.seq)} />
        )}
      </div>
    </aside>
  );
}
