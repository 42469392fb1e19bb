import type { JSX } from "preact";
import { useState } from "preact/hooks";
import type { Conversation, ParleyClient } from "@parley/client";
import { GroupPanel } from "./group-panel";
import { useEscape } from "./hooks";
import { Icon } from "./icons";
import type { OpenDialog } from "./message-dialogs";
import type { Viewer } from "./conversation-text";
import { SearchField, SearchResults } from "./search";

export type PanelKind = "group" | "search";

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

/** The panel beside a conversation: the group's details, or a search. */
export function ThreadPanel({ kind, ...props }: ThreadPanelProps): JSX.Element | null {
  if (kind === "search") return <SearchPanel {...props} />;
  return props.conversation.kind === "group" ? <GroupPanel {...props} /> : null;
}

function SearchPanel({ client, conversation, viewer, nowMs, onJump, onClose }: Omit<ThreadPanelProps, "kind">): JSX.Element {
  const [query, setQuery] = useState("");
  useEscape(onClose);
  const choose = (seq: number): void => {
    onJump(seq);
    // On a narrow screen the panel covers the conversation.
    if (matchMedia("(max-width: 1000px)").matches) onClose();
  };
  return (
    <aside class="panel" aria-label="Search in conversation">
      <header class="panel-header">
        <h2 class="grow">Search</h2>
        <button type="button" class="icon-button" aria-label="Close search" title="Close (Esc)" onClick={onClose}>
          <Icon name="close" />
        </button>
      </header>
      <SearchField label="Search in this conversation" value={query} maxChars={client.limits.queryChars} focused onChange={setQuery} />
      <div class="list">
        {query.trim() && (
          <SearchResults {...{ client, query, viewer, nowMs }} conversationId={conversation.id} onChoose={(message) => choose(message.seq)} />
        )}
      </div>
    </aside>
  );
}
