import type { JSX } from "preact";
import type { Conversation, Message, ParleyClient } from "@parley/client";
import { isUserContent, isSameEmoji, permissionsOf } from "@parley/client";
import { copyText } from "./clipboard";
import type { IconName } from "./icons";
import { Icon } from "./icons";
import { Menu } from "./menu";
import { type PlainKey, t } from "./text";

export const EMOJIS: readonly { readonly emoji: string; readonly name: PlainKey }[] = [
  { emoji: "👍", name: "emoji.thumb" },
  { emoji: "❤️", name: "emoji.heart" },
  { emoji: "😂", name: "emoji.laugh" },
  { emoji: "😮", name: "emoji.surprise" },
  { emoji: "😢", name: "emoji.sad" },
  { emoji: "🙏", name: "emoji.thanks" },
];

/** The message and element of the open menu. */
export interface MenuTarget {
  readonly seq: number;
  readonly anchor: HTMLElement;
  /** Only the emojis, or everything. */
  readonly brief: boolean;
}

export interface MessageActions {
  readonly reply: (message: Message) => void;
  readonly edit: (message: Message) => void;
  readonly unsend: (message: Message) => void;
  /** Chooses where a copy of it goes. */
  readonly forward: (message: Message) => void;
  /** Shows the texts that it had before. */
  readonly history: (message: Message) => void;
  /** Shows who has received and read it. */
  readonly readers: (message: Message) => void;
  readonly report: (message: Message) => void;
  readonly react: (message: Message, emoji: string) => void;
  /** Keeps it in view for all members, or no longer. */
  readonly pin: (message: Message, pinned: boolean) => void;
  readonly openMenu: (target: MenuTarget | undefined) => void;
  /** Shows a message that another one answers. */
  readonly jump: (seq: number) => void;
}

interface MessageMenuProps {
  readonly client: ParleyClient;
  readonly message: Message;
  readonly target: MenuTarget;
  readonly conversation: Conversation;
  readonly actions: MessageActions;
}

/** Reactions, and the actions for the message. */
export function MessageMenu({ client, message, target, conversation, actions }: MessageMenuProps): JSX.Element {
  const { content } = message;
  const group = conversation.kind === "group";
  const pinned = conversation.pinned.some(({ seq }) => seq === message.seq);
  const close = (): void => actions.openMenu(undefined);
  const own = message.senderId === client.userId;
  const said = isUserContent(content);
  const text = content.kind === "text" ? content.text : undefined;
  const choose = (act: (message: Message) => void) => () => {
    close();
    act(message);
  };
  const copy = async (): Promise<void> => client.showNotice((await copyText(text ?? "")) ? t("copied") : t("copy.refused"));
  return (
    <Menu anchor={target.anchor} label={target.brief ? t("react") : t("actions.title")} onClose={close}>
      <Reactions message={message} selfId={client.userId} choose={(emoji) => choose((m) => actions.react(m, emoji))()} />
      {!target.brief && (
        <>
          <MenuItem icon="reply" label={t("reply")} onClick={choose(actions.reply)} />
          {said && !message.viewOnce && <MenuItem icon="forward" label={t("menu.forward")} onClick={choose(actions.forward)} />}
          {text && <MenuItem icon="copy" label={t("menu.copy")} onClick={choose(() => void copy())} />}
          {said && permissionsOf(conversation, client.userId).pin && (
            <MenuItem icon="pin" label={pinned ? t("menu.unpin") : t("menu.pin")} onClick={choose((m) => actions.pin(m, !pinned))} />
          )}
          {message.edited && <MenuItem icon="history" label={t("menu.history")} onClick={choose(actions.history)} />}
          {own && group && said && <MenuItem icon="eye" label={t("menu.readers")} onClick={choose(actions.readers)} />}
          {!own && <MenuItem icon="flag" label={t("report")} danger onClick={choose(actions.report)} />}
          {own && text !== undefined && !message.forwarded && !message.viewOnce && <MenuItem icon="edit" label={t("menu.edit")} onClick={choose(actions.edit)} />}
          {own && said && <MenuItem icon="undo" label={t("menu.unsend")} danger onClick={choose(actions.unsend)} />}
        </>
      )}
    </Menu>
  );
}

interface ReactionsProps {
  readonly message: Message;
  readonly selfId: string;
  readonly choose: (emoji: string) => void;
}

function Reactions({ message, selfId, choose }: ReactionsProps): JSX.Element {
  const mine = message.reactions.filter((r) => r.userIds.includes(selfId)).map((r) => r.emoji);
  return (
    <div class="menu-emojis" role="group" aria-label={t("react")}>
      {EMOJIS.map(({ emoji, name }) => (
        <button key={emoji} type="button" role="menuitemcheckbox" tabIndex={-1} aria-checked={mine.some((put) => isSameEmoji(put, emoji))} aria-label={t(name)} title={t(name)} onClick={() => choose(emoji)}>
          {emoji}
        </button>
      ))}
    </div>
  );
}

interface MenuItemProps {
  readonly label: string;
  readonly icon?: IconName;
  readonly danger?: boolean;
  /** Of choices of which one holds: whether it is this one. */
  readonly checked?: boolean;
  readonly onClick: () => void;
}

export function MenuItem({ label, icon, danger = false, checked, onClick }: MenuItemProps): JSX.Element {
  const role = checked === undefined ? { role: "menuitem" as const } : { role: "menuitemradio" as const, "aria-checked": checked };
  return (
    <button type="button" {...role} tabIndex={-1} class={`menu-item ${danger ? "danger" : ""}`} onClick={onClick}>
      {icon && <Icon name={icon} />}
      <span class="grow">{label}</span>
      {checked && <Icon name="check" />}
    </button>
  );
}
