import type { JSX } from "preact";

/** Drawings for groups that have no picture of their own. */
export const SYMBOLS = {
  mountain: "M3 19 9.500 7l4 7 2-3L21 19H3Z",
  sun: "M12 7.500a4.500 4.500 0 1 0 0 9 4.500 4.500 0 0 0 0-9ZM12 2.500v2M12 19.500v2M2.500 12h2M19.500 12h2M5.300 5.300l1.400 1.400M17.300 17.300l1.400 1.400M18.700 5.300l-1.400 1.400M6.700 17.300l-1.400 1.400",
  heart: "M12 20 4.800 12.800a4.600 4.600 0 0 1 6.500-6.500l.7.7.7-.7a4.600 4.600 0 0 1 6.500 6.500L12 20Z",
  star: "m12 3.500 2.600 5.400 5.900.8-4.300 4.100 1 5.900L12 16.900l-5.200 2.800 1-5.900L3.500 9.700l5.900-.8L12 3.500Z",
  music: "M9 18V6l10-2v12M9 18a2.500 2.500 0 1 1-5 0 2.500 2.500 0 0 1 5 0ZM19 16a2.500 2.500 0 1 1-5 0 2.500 2.500 0 0 1 5 0Z",
  book: "M12 6.500C10 5 7.500 4.500 4 4.500v13c3.500 0 6 .5 8 2 2-1.500 4.500-2 8-2v-13c-3.500 0-6 .5-8 2ZM12 6.500v13",
  house: "M4 11.500 12 4.500l8 7M6 10v9.500h12V10M10 19.500v-5h4v5",
  cup: "M5 8h11v6a4 4 0 0 1-4 4H9a4 4 0 0 1-4-4V8ZM16 9.500h1.500a2.500 2.500 0 0 1 0 5H16M4 21h13M9 3v2M12.500 3v2",
} as const;

export type SymbolName = keyof typeof SYMBOLS;

export function PictureSymbol({ name }: { name: SymbolName }): JSX.Element {
  return (
    <svg class="symbol" viewBox="0 0 24 24" aria-hidden="true" focusable="false">
      <path d={SYMBOLS[name]} />
    </svg>
  );
}
