import type { Limits } from "./limits.js";
import type { NewSticker, Sticker } from "./model.js";

/** Where a sticker may be loaded from; undefined where the service does not allow its host any more, or it is withheld. */
export function stickerSource({ url }: Pick<Sticker, "url">, { stickerHosts }: Limits): string | undefined {
  return stickerHosts.some((host) => url.startsWith(`https://${host}/`)) ? url : undefined;
}

/** How large a sticker is shown, as it is and at most so many pixels wide and high: its place is there before it is loaded. */
export function stickerSize({ width, height }: Pick<Sticker, "width" | "height">, mostPx: number): { readonly width: number; readonly height: number } {
  const scale = Math.min(1, mostPx / width, mostPx / height);
  return { width: Math.ceil(width * scale), height: Math.ceil(height * scale) };
}

/** Of what a provider found, what can be sent here; each address once. */
export function sendableStickers(found: readonly NewSticker[], limits: Limits): NewSticker[] {
  const good = found.filter((sticker) => stickerSource(sticker, limits) && sticker.width > 0 && sticker.height > 0 && sticker.description.trim() !== "");
  return [...new Map(good.map((sticker) => [sticker.url, sticker])).values()];
}
