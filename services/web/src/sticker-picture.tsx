import type { JSX } from "preact";
import { useState } from "preact/hooks";
import type { Message, ParleyClient, Sticker } from "@parley/client";
import { stickerSize, stickerSource } from "@parley/client";
import { pictureOf } from "./stickers";
import { messageLine, type Viewer } from "./conversation-text";

/** Pixels of the longer side. */
const MOST_PX = 240;

interface StickerPictureProps {
  readonly client: ParleyClient;
  readonly message: Message;
  readonly sticker: Sticker;
  readonly viewer: Viewer;
}

/** A sticker from its provider; in words where it may not be loaded, or does not come. */
export function StickerPicture({ client, message, sticker, viewer }: StickerPictureProps): JSX.Element {
  const [broken, setBroken] = useState("");
  const source = stickerSource(sticker, client.limits);
  if (!source || source === broken) {
    return (
      <span class="text" dir="auto">
        {messageLine(message, viewer)}
      </span>
    );
  }
  return <img class="sticker" src={pictureOf(source)} alt={sticker.description} {...stickerSize(sticker, MOST_PX)} loading="lazy" decoding="async" referrerpolicy="no-referrer" onError={() => setBroken(source)} />;
}
