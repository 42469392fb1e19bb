const SEGMENTER = new Intl.Segmenter(undefined, { granularity: "grapheme" });

/** What people take for characters: letters with their marks, whole emojis. */
export function graphemes(text: string): string[] {
  return Array.from(SEGMENTER.segment(text), ({ segment }) => segment);
}

/** The first `units` UTF-16 units of a text at most, without cutting a character in two. */
export function truncate(text: string, units: number): string {
  if (text.length <= units) return text;
  const last = SEGMENTER.segment(text).containing(units);
  return text.slice(0, last?.index ?? units);
}

/** The last `units` UTF-16 units of a text at most, without cutting a character in two. */
export function truncateStart(text: string, units: number): string {
  const start = text.length - units;
  if (start <= 0) return text;
  const first = SEGMENTER.segment(text).containing(start);
  const cut = first && first.index < start ? first.index + first.segment.length : start;
  return text.slice(cut);
}

/** What nobody sees: spaces, controls, joiners, fillers. A text of nothing else is empty to the service. */
const VISIBLE = /[^\s\p{Cc}\p{Cf}\p{Cs}\p{Default_Ignorable_Code_Point}\u2800]/u;

export function isBlank(text: string): boolean {
  return !VISIBLE.test(text);
}
