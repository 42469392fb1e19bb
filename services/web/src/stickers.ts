import { createContext } from "preact";
import type { Limits, StickerProvider } from "@parley/client";

/** Where the page's own stickers stand, as messages say it. Nobody serves them there: whoever has this page has their pictures. */
export const OWN_STICKERS = "https://stickers.example/parley/";
const OWN_HOST = "stickers.example";

/** The page's own stickers, for a deployment that allows their host: to try the page out without a provider. */
export const ownStickers: StickerProvider = {
  search: async (words) => (await import("./own-stickers")).findOwn(words),
};

/** Where stickers are found. */
export const Stickers = createContext<StickerProvider>(ownStickers);

/** Whether there may be something to send from a provider. */
export function isOffered(provider: StickerProvider, { stickerHosts }: Limits): boolean {
  return provider === ownStickers ? stickerHosts.includes(OWN_HOST) : stickerHosts.length > 0;
}

/** Where the picture of a sticker is loaded from: those of the page itself come with it. */
export function pictureOf(url: string): string {
  const name = url.startsWith(OWN_STICKERS) ? url.slice(OWN_STICKERS.length) : "";
  return /^[a-z]+\.svg$/.test(name) ? `/stickers/${name}` : url;
}
