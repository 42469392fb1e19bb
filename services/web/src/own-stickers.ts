import type { NewSticker } from "@parley/client";
import { OWN_STICKERS } from "./stickers";
import { t } from "./text";

/** In pixels, each side. */
const SIDE_PX = 240;

/** The pictures are in public/stickers; what is to be seen, which is also what is searched, is a text of the page. */
const NAMES = ["wave", "heart", "laugh", "sad", "thumb", "party", "coffee", "sleep", "flower", "sun", "star", "cat"] as const;

/** Those that hold all of the words in the page's language; all of them for none. */
export function findOwn(words: string): NewSticker[] {
  const wanted = folded(words).split(/\s+/).filter(Boolean);
  const all = NAMES.map((name) => ({ url: `${OWN_STICKERS}${name}.svg`, width: SIDE_PX, height: SIDE_PX, description: t(`sticker.${name}`), providerRef: name }));
  return all.filter(({ description }) => wanted.every((word) => folded(description).includes(word)));
}

/** Without accents, vowel points and case. */
function folded(text: string): string {
  return text.normalize("NFKD").replace(/\p{M}/gu, "").toLowerCase();
}
