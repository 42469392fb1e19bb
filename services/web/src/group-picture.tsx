import type { JSX } from "preact";
import { useState } from "preact/hooks";
import type { Conversation, Failure, ParleyClient } from "@parley/client";
import { Avatar, symbolReference } from "./avatar";
import { Icon } from "./icons";
import { Menu } from "./menu";
import { MenuItem } from "./message-menu";
import { PictureSymbol, SYMBOLS, type SymbolName } from "./symbols";
import { t } from "./text";

const NAMES = Object.keys(SYMBOLS) as SymbolName[];

interface PicturePickerProps {
  readonly client: ParleyClient;
  readonly conversation: Conversation;
  readonly may: boolean;
}

/** The group's picture, and for those who may change it a choice of symbols, which need no picture store. */
export function PicturePicker({ client, conversation, may }: PicturePickerProps): JSX.Element {
  const { id, title, avatarRef } = conversation;
  const [anchor, setAnchor] = useState<HTMLElement | undefined>(undefined);
  const picture = <Avatar userId={id} name={title} size="large" picture={avatarRef} />;
  if (!may) return picture;
  const choose = (reference: string) => () => {
    setAnchor(undefined);
    void client.groups.setPicture(id, reference).catch((failure: Failure) => client.showNotice(failure));
  };
  return (
    <>
      <button type="button" class="picture-button" aria-label={t("picture.change")} title={t("picture.change.short")} aria-haspopup="menu" onClick={(event) => setAnchor(event.currentTarget)}>
        {picture}
        <span class="picture-edit">
          <Icon name="edit" />
        </span>
      </button>
      {anchor && (
        <Menu anchor={anchor} label={t("picture.group")} onClose={() => setAnchor(undefined)}>
          <div class="menu-emojis grid" role="group" aria-label={t("picture.choices")}>
            {NAMES.map((name) => (
              <button
                key={name}
                type="button"
                role="menuitemradio"
                tabIndex={-1}
                aria-checked={symbolReference(name) === avatarRef}
                aria-label={t(`symbol.${name}`)}
                title={t(`symbol.${name}`)}
                onClick={choose(symbolReference(name))}
              >
                <PictureSymbol name={name} />
              </button>
            ))}
          </div>
          {avatarRef && <MenuItem icon="undo" label={t("picture.remove")} onClick={choose("")} />}
        </Menu>
      )}
    </>
  );
}
