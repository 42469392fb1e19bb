import type { JSX } from "preact";
import { useState } from "preact/hooks";
import type { ConversationView, Failure, NotificationLevel, ParleyClient } from "@parley/client";
import { isMuted } from "@parley/client";
import { Menu } from "./menu";
import { MenuItem } from "./message-menu";
import { type PlainKey, t } from "./text";

const HOUR_MS = 3_600_000;
/** What one is told of a conversation while Parley is closed; undefined: as of all others. */
const LEVELS: readonly (readonly [NotificationLevel | undefined, PlainKey])[] = [
  [undefined, "notices.of.default"],
  ["all", "notices.of.all"],
  ["mentions", "notices.of.mentions"],
  ["none", "notices.of.none"],
];

interface ConversationMenuProps {
  readonly client: ParleyClient;
  readonly view: ConversationView;
  readonly name: string;
  readonly anchor: HTMLElement;
  readonly onClose: () => void;
  /** After it was marked unread: looking on would mark it read again. */
  readonly onUnread: () => void;
}

/** How one keeps a conversation. */
export function ConversationMenu({ client, view, name, anchor, onClose, onUnread }: ConversationMenuProps): JSX.Element {
  const [page, setPage] = useState<"main" | "mute" | "notices">("main");
  const { own, unread, conversation } = view;
  const { conversationSettings, messaging, notifications } = client;
  const run = (act: () => Promise<void>) => () => {
    onClose();
    void act().catch((failure: Failure) => client.showNotice(failure));
  };
  const { id } = conversation;
  if (page === "mute") {
    return (
      <Menu key="mute" anchor={anchor} label={t("mute.name", { name })} onClose={onClose}>
        <MenuItem label={t("mute.hour")} onClick={run(() => conversationSettings.mute(id, HOUR_MS))} />
        <MenuItem label={t("mute.hours")} onClick={run(() => conversationSettings.mute(id, 8 * HOUR_MS))} />
        <MenuItem label={t("mute.always")} onClick={run(() => conversationSettings.mute(id))} />
      </Menu>
    );
  }
  if (page === "notices") {
    const chosen = notifications.levelOf(id);
    return (
      <Menu key="notices" anchor={anchor} label={t("notices.of.name", { name })} onClose={onClose}>
        {LEVELS.map(([level, key]) => (
          <MenuItem key={key} label={t(key)} checked={level === chosen} onClick={run(() => notifications.setLevel(id, level))} />
        ))}
      </Menu>
    );
  }
  const muted = isMuted(own, Date.now());
  const marked = own.markedUnread || unread > 0;
  const markUnread = async (): Promise<void> => {
    onUnread();
    await conversationSettings.markUnread(id, true);
  };
  return (
    <Menu key="main" anchor={anchor} label={t("options.for", { name })} onClose={onClose}>
      <MenuItem icon="pin" label={own.pinned ? t("unpin") : t("pin")} onClick={run(() => conversationSettings.pin(id, !own.pinned))} />
      <MenuItem icon="archive" label={own.archived ? t("unarchive") : t("archive")} onClick={run(() => conversationSettings.archive(id, !own.archived))} />
      {muted ? <MenuItem icon="bell" label={t("unmute")} onClick={run(() => conversationSettings.unmute(id))} /> : <MenuItem icon="bell" label={t("mute")} onClick={() => setPage("mute")} />}
      {notifications.current && <MenuItem icon="sliders" label={t("notices.of")} onClick={() => setPage("notices")} />}
      <MenuItem icon="unread" label={marked ? t("mark.read") : t("mark.as.unread")} onClick={run(marked ? () => messaging.markRead(id) : markUnread)} />
    </Menu>
  );
}
