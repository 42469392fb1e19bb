import type { JSX } from "preact";
import { useState } from "preact/hooks";
import type { Conversation, Failure, ParleyClient } from "../parley";
import { Avatar, emojiReference } from "./avatar";
import { Icon } from "./icons";
import { Menu } from "./menu";
import { MenuItem } from "./message-menu";

/** Pictures that need no picture store; a network with one sets its own references. */
const PICTURES: readonly { readonly emoji: string; readonly name: string }[] = [
  { emoji: "🏔", name: "Mountain" },
  { emoji: "🏖", name: "Beach" },
  { emoji: "🚲", name: "Bicycle" },
  { emoji: "⚽", name: "Football" },
  { emoji: "🎵", name: "Music" },
  { emoji: "🎂", name: "Cake" },
  { emoji: "🍕", name: "Pizza" },
  { emoji: "📚", name: "Books" },
  { emoji: "💼", name: "Briefcase" },
  { emoji: "🏠", name: "House" },
  { emoji: "🐈", name: "Cat" },
  { emoji: "🌻", name: "Sunflower" },
];

interface PicturePickerProps {
  readonly client: ParleyClient;
  readonly conversation: Conversation;
  readonly may: boolean;
}

/** The group's picture, and a choice of others for those who may change it. */
export function PicturePicker({ client, conversation, may }: PicturePickerProps): JSX.Element {
  const { id, title, avatarRef } = conversation;
  const [anchor, setAnchor] = useState<HTMLElement | undefined>(undefined);
  const picture = <Avatar userId={id} name={title} size="large" picture={avatarRef} />;
  if (!may) return picture;
  const choose = (reference: string) => () => {
    setAnchor(undefined);
    void client.groups.setPicture(id, reference).catch((failure: Failure) => client.tell(failure.line));
  };
  return (
    <>
      <button type="button" class="picture-button" aria-label="Change group picture" title="Change picture" aria-haspopup="menu" onClick={(event) => setAnchor(event.currentTarget)}>
        {picture}
        <span class="picture-edit">
          <Icon name="edit" />
        </span>
      </button>
      {anchor && (
        <Menu anchor={anchor} label="Group picture" onClose={() => setAnchor(undefined)}>
          <div class="menu-emojis grid" role="group" aria-label="Pictures">
            {PICTURES.map(({ emoji, name }) => (
              <button
                key={emoji}
                type="button"
                role="menuitemradio"
                tabIndex={-1}
                aria-checked={emojiReference(emoji) === avatarRef}
                aria-label={name}
                title={name}
                onClick={choose(emojiReference(emoji))}
              >
                {emoji}
              </button>
            ))}
          </div>
          {avatarRef && <MenuItem icon="undo" label="Remove picture" onClick={choose("")} />}
        </Menu>
      )}
    </>
  );
}
