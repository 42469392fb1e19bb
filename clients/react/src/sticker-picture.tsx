import { type Sticker, stickerSize, stickerSource } from "@parley/client";
import { type ReactElement, useState } from "react";
import { useLimits } from "./hooks.js";

/** Pixels of the longer side. */
const MOST_PX = 240;

interface StickerPictureProps {
  readonly sticker: Sticker;
  /** Stands where the picture may not be loaded, or does not come. */
  readonly line: string;
}

export function StickerPicture({ sticker, line }: StickerPictureProps): ReactElement {
  const limits = useLimits();
  const [broken, setBroken] = useState<string>();
  const source = limits && stickerSource(sticker, limits);
  if (!source || source === broken) {
    return (
      <span className="parley-text" dir="auto">
        {line}
      </span>
    );
  }
  return <img className="parley-sticker" src={source} alt={sticker.description} {...stickerSize(sticker, MOST_PX)} loading="lazy" decoding="async" referrerPolicy="no-referrer" onError={() => setBroken(source)} />;
}
