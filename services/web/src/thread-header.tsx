import type { JSX } from "preact";
import { useState } from "preact/hooks";
import type { Conversation, ConversationView, Failure, ParleyClient } from "@parley/client";
import { isMuted } from "@parley/client";
import { Avatar } from "./avatar";
import { DevicesWindow } from "./devices-entry";
import { lengthLine, presenceLine } from "./format";
import { Icon } from "./icons";
import { Menu } from "./menu";
import type { OpenDialog } from "./message-dialogs";
import { MenuItem } from "./message-menu";
import { type ConversationTitle, type Viewer, typingLine } from "./conversation-text";
import type { PanelKind } from "./thread-panel";
import { made, t } from "./text";

interface ThreadHeaderProps {
  readonly client: ParleyClient;
  readonly view: ConversationView;
  readonly conversation: Conversation;
  readonly viewer: Viewer;
  readonly face: ConversationTitle;
  readonly nowMs: number;
  readonly onClose: () => void;
  readonly panel: PanelKind | undefined;
  readonly setPanel: (panel: PanelKind | undefined) => void;
  readonly onDialog: (dialog: OpenDialog) => void;
}

/** Who one talks to, whether they are there, and what one can do about the conversation. */
export function ThreadHeader(props: ThreadHeaderProps): JSX.Element {
  const { client, view, conversation, face, onClose, panel, setPanel } = props;
  const { id, name, peer, picture } = face;
  const request = view.own.request !== "none";
  const blocked = peer !== undefined && client.relations.isBlocked(peer);
  const presence = peer && !request && !blocked ? client.presence.of(peer) : undefined;
  const toggle = (kind: PanelKind) => () => setPanel(panel === kind ? undefined : kind);
  return (
    <header class="thread-header">
      <button type="button" class="icon-button back" aria-label={t("thread.back")} onClick={onClose}>
        <Icon name="back" />
      </button>
      <Avatar userId={id} name={name} online={presence?.online} picture={picture} />
      <div class="grow">
        <h2>
          <bdi>{name}</bdi> <StatusIcons {...props} />
        </h2>
        <PresenceLine {...props} closed={request ? t("thread.wants") : blocked ? t("thread.blocked") : ""} />
      </div>
      {!request && <CallButtons client={client} conversationId={conversation.id} peer={peer ?? ""} name={name} />}
      {!peer && (
        <button type="button" class="icon-button accent" aria-label={t("group.details")} title={t("group.details")} aria-expanded={panel === "group"} onClick={toggle("group")}>
          <Icon name="people" />
        </button>
      )}
      <MoreMenu {...props} />
    </header>
  );
}

/** Muted, and from when on messages vanish. */
function StatusIcons({ view, conversation, nowMs }: ThreadHeaderProps): JSX.Element {
  const vanishing = conversation.vanishAfterS > 0 ? t("thread.vanish", { length: made(lengthLine(conversation.vanishAfterS)) }) : "";
  return (
    <>
      {isMuted(view.own, nowMs) && (
        <span class="sign" role="img" aria-label={t("mark.muted")} title={t("mark.muted")}>
          <Icon name="bell" struck />
        </span>
      )}
      {vanishing && (
        <span class="sign" role="img" aria-label={vanishing} title={vanishing}>
          <Icon name="clock" />
        </span>
      )}
    </>
  );
}

/** `closed`: why the other user's presence is not shown. */
function PresenceLine({ client, conversation, face, viewer, nowMs, closed }: ThreadHeaderProps & { closed: string }): JSX.Element {
  const typing = closed ? [] : client.presence.typing(conversation.id);
  const people = t("members.count", { count: conversation.members.length });
  const quiet = !face.peer ? people : closed || presenceLine(client.presence.of(face.peer), nowMs);
  return (
    <p class={`presence ${typing.length > 0 ? "accent" : "quiet"}`} data-testid="presence">
      {typing.length > 0 ? typingLine(typing, conversation.kind, viewer) : quiet}
    </p>
  );
}

/** Everything that is not done every day. */
function MoreMenu({ client, view, face, panel, setPanel, onDialog }: ThreadHeaderProps): JSX.Element {
  const [anchor, setAnchor] = useState<HTMLElement | undefined>(undefined);
  const [devices, setDevices] = useState(false);
  const close = (): void => setAnchor(undefined);
  const choose = (act: () => void) => () => {
    close();
    act();
  };
  const { peer } = face;
  const blocked = peer !== undefined && client.relations.isBlocked(peer);
  const unblock = (userId: string) => void client.relations.unblock(userId).catch((failure: Failure) => client.showNotice(failure));
  return (
    <>
      <button
        type="button"
        class="icon-button"
        aria-label={t("thread.options")}
        title={t("more")}
        aria-haspopup="menu"
        aria-expanded={anchor !== undefined}
        onClick={(event) => setAnchor(anchor ? undefined : event.currentTarget)}
      >
        <Icon name="more" />
      </button>
      {anchor && (
        <Menu anchor={anchor} label={t("thread.options")} onClose={close}>
          <MenuItem icon="search" label={t("search.in")} onClick={choose(() => setPanel(panel === "search" ? undefined : "search"))} />
          {view.own.request === "none" && <MenuItem icon="clip" label={t("gallery.open")} onClick={choose(() => setPanel("gallery"))} />}
          {view.own.request === "none" && !blocked && <MenuItem icon="phone" label={t("schedule.open")} onClick={choose(() => onDialog({ kind: "schedule" }))} />}
          {view.own.request === "none" && !blocked && <MenuItem icon="sliders" label={t("devices")} onClick={choose(() => setDevices(true))} />}
          <MenuItem icon="clock" label={t("vanishing.open")} onClick={choose(() => onDialog({ kind: "vanishing" }))} />
          {peer && client.encryption.isSupported && <MenuItem icon="shield" label={t("safety.open")} onClick={choose(() => onDialog({ kind: "safety", userId: peer }))} />}
          {peer && blocked && <MenuItem icon="block" label={t("unblock")} onClick={choose(() => unblock(peer))} />}
          {peer && !blocked && <MenuItem icon="block" label={t("block.open")} danger onClick={choose(() => onDialog({ kind: "block", userId: peer }))} />}
          <MenuItem icon="flag" label={t("report.open")} danger onClick={choose(() => onDialog({ kind: "report", seqs: [] }))} />
        </Menu>
      )}
      {devices && <DevicesWindow client={client} onClose={() => setDevices(false)} />}
    </>
  );
}

interface CallButtonsProps {
  readonly client: ParleyClient;
  readonly conversationId: string;
  /** Empty in a group. */
  readonly peer: string;
  readonly name: string;
}

function CallButtons({ client, conversationId, peer, name }: CallButtonsProps): JSX.Element {
  // A running call is joined by its banner.
  const running = client.calls.runningIn(conversationId) !== undefined;
  const busy = client.calls.busy || running || client.relations.isBlocked(peer);
  const dial = (video: boolean) => () => client.calls.dial(conversationId, peer, video);
  return (
    <>
      <button type="button" class="icon-button accent" aria-label={t("voice.call.with", { name })} title={t("voice.call")} disabled={busy} onClick={dial(false)}>
        <Icon name="phone" />
      </button>
      <button type="button" class="icon-button accent" aria-label={t("video.call.with", { name })} title={t("video.call")} disabled={busy} onClick={dial(true)}>
        <Icon name="video" />
      </button>
    </>
  );
}
