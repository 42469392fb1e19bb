/** A part of a text, and whether it is what was searched for. */
export interface Marked {
  readonly text: string;
  readonly found: boolean;
}

const ARABIC: Record<string, string> = { أ: "ا", إ: "ا", آ: "ا", ٱ: "ا", ى: "ي", ة: "ه", ـ: "" };

/** As the service's search folds: no case, no marks, one form of each Arabic letter. */
export function fold(text: string): string {
  const plain = [...text].map((char) => ARABIC[char] ?? char).join("").normalize("NFKD").toLowerCase().replace(/\p{Mn}/gu, "");
  return [...plain].map((char) => ARABIC[char] ?? char).join("");
}

/** Cuts a text where its words are words of the query; the query's last word may be the beginning of one. */
export function highlight(text: string, query: string): Marked[] {
  const words: readonly string[] = fold(query).match(/[\p{L}\p{N}_]+/gu) ?? [];
  const prefix = words.at(-1);
  const matches = (word: string): boolean => words.includes(word) || (prefix !== undefined && word.startsWith(prefix));
  const parts: Marked[] = [];
  let at = 0;
  // Marks belong to the word, or a word with an accent in it would fall apart.
  for (const match of text.matchAll(/[\p{L}\p{N}\p{M}_ـ]+/gu)) {
    if (!matches(fold(match[0]))) continue;
    if (match.index > at) parts.push({ text: text.slice(at, match.index), found: false });
    at = match.index + match[0].length;
    parts.push({ text: match[0], found: true });
  }
  if (at < text.length) parts.push({ text: text.slice(at), found: false });
  return parts;
}

/** Characters of a text around its first found word; more does not fit two lines of a result. */
const EXCERPT_BEFORE = 40;

/** The same parts from shortly before the first found word on. */
export function excerpt(parts: readonly Marked[]): Marked[] {
  const [first, ...rest] = parts;
  if (!first || first.found || first.text.length <= EXCERPT_BEFORE) return [...parts];
  const tail = first.text.slice(-EXCERPT_BEFORE);
  return [{ text: `…${tail.slice(tail.indexOf(" ") + 1)}`, found: false }, ...rest];
}
