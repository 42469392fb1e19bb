import type { Limits } from "./limits.js";
import type { Sticker } from "./model.js";

/** Where a sticker may be loaded from; undefined where the service does not allow its host any more, or it is withheld. */
export function stickerSource({ url }: Sticker, { stickerHosts }: Limits): string | undefined {
  return stickerHosts.some((host) => url.startsWith(`https://${host}/`)) ? url : undefined;
}

/** How large a sticker is shown, as it is and at most so many pixels wide and high: its place is there before it is loaded. */
export function stickerSize({ width, height }: Sticker, mostPx: number): { readonly width: number; readonly height: number } {
  const scale = Math.min(1, mostPx / width, mostPx / height);
  return { width: Math.ceil(width * scale), height: Math.ceil(height * scale) };
}
