import { bare } from "./emoji.js";
import { CLUSTER, fold, UNSPACED } from "./fold.js";
import { truncateStart, graphemes } from "./graphemes.js";

/** A part of a text, and whether it is what was searched for. */
export interface Marked {
  readonly text: string;
  readonly found: boolean;
}

export { fold };

/** Of scripts that write no spaces. */
const RUN = new RegExp(`(?:${CLUSTER.source})+`, "gu");
const EMOJI = /^(?:\p{Emoji_Presentation}|\p{Emoji}\ufe0f|\p{Extended_Pictographic}|[#*0-9]\ufe0f?\u20e3|\p{RI}{2})/u;
const TONES = /\p{Emoji_Modifier}/gu;
/** A word with the hyphens and apostrophes inside of it, and what nobody sees; a zero-width space parts where words are parted. */
const COMPOUND = new RegExp(
  `[\\p{L}\\p{N}](?:(?!\\u200b)[\\p{L}\\p{N}\\p{M}\\p{Default_Ignorable_Code_Point}ـ]|(?<=[${UNSPACED}]\\p{M}*)\\u200b|[-'"’‘‛ʼʻʹʾʿ′＇\`´ꞌ׳״‐‑־֊﹣－_·](?=[\\p{L}\\p{N}]))*`,
  "gu",
);

/** Cuts a text where its words are words of the query; the query's last word may be the beginning of one. */
export function highlight(text: string, query: string): Marked[] {
  const wanted = wantedOf(query);
  const parts: Marked[] = [];
  let at = 0;
  for (const [start, end] of foundRanges(text, wanted)) {
    if (start < at) continue;
    if (start > at) parts.push({ text: text.slice(at, start), found: false });
    parts.push({ text: text.slice(start, end), found: true });
    at = end;
  }
  if (at < text.length) parts.push({ text: text.slice(at), found: false });
  return parts;
}

/** What a query asks for, folded. */
interface Wanted {
  readonly words: ReadonlySet<string>;
  readonly beginnings: readonly string[];
  /** Of scripts that write no spaces: found anywhere in a word. */
  readonly runs: readonly string[];
  readonly emojis: ReadonlySet<string>;
}

function wantedOf(query: string): Wanted {
  const { emojis, rest } = splitEmojis(query);
  const compounds = rest.match(COMPOUND) ?? [];
  const words = new Set<string>();
  const runs: string[] = [];
  let beginnings: string[] = [];
  for (const compound of compounds) {
    beginnings = [];
    for (const piece of piecesOf(fold(compound))) {
      if (piece.unspaced) runs.push(piece.text);
      else words.add(piece.text);
      beginnings = piece.unspaced ? [] : [piece.text];
    }
    const whole = joined(compound);
    if (whole === undefined) continue;
    words.add(whole);
    beginnings.push(whole);
  }
  return { words, beginnings, runs, emojis: new Set(emojis.map((emoji) => emoji.text)) };
}

/** The ranges of a text that match; ascending. */
function foundRanges(text: string, wanted: Wanted): [number, number][] {
  const { emojis } = splitEmojis(text);
  const ranges: [number, number][] = emojis
    .filter(({ text: emoji }) => wanted.emojis.has(emoji) || wanted.emojis.has(emoji.replace(TONES, "")))
    .map(({ start, end }) => [start, end]);
  const isWanted = (word: string): boolean => wanted.words.has(word) || wanted.beginnings.some((beginning) => word.startsWith(beginning));
  for (const match of text.matchAll(COMPOUND)) {
    const whole = joined(match[0]);
    const pieces = piecesOf(fold(match[0]));
    const hits = pieces.some((piece) => (piece.unspaced ? wanted.runs.some((run) => piece.text.includes(run)) : isWanted(piece.text)));
    if (!hits && !(whole !== undefined && isWanted(whole))) continue;
    ranges.push(...within(match[0], pieces, wanted).map(([start, end]): [number, number] => [match.index + start, match.index + end]));
  }
  return ranges.sort((a, b) => a[0] - b[0]);
}

/** Of one word: the whole of it, or, where a script writes no spaces, the characters that were asked for. */
function within(word: string, pieces: readonly Piece[], wanted: Wanted): [number, number][] {
  if (!pieces.every((piece) => piece.unspaced)) return [[0, word.length]];
  const chars = graphemes(word);
  const ranges: [number, number][] = [];
  let at = 0;
  for (let first = 0; first < chars.length; first++) {
    for (const run of wanted.runs) {
      let last = first;
      let folded = "";
      while (last < chars.length && folded.length < run.length) folded = fold(chars.slice(first, ++last).join(""));
      if (folded.startsWith(run)) ranges.push([at, at + chars.slice(first, last).join("").length]);
    }
    at += chars[first]?.length ?? 0;
  }
  return ranges.length > 0 ? ranges : [[0, word.length]];
}

interface Piece {
  readonly text: string;
  readonly unspaced: boolean;
}

/** A folded word's parts: between hyphens and apostrophes, and where scripts with and without spaces meet. */
function piecesOf(folded: string): Piece[] {
  const pieces: Piece[] = [];
  for (const part of folded.split(/[-'"]/u)) {
    let at = 0;
    for (const match of part.matchAll(RUN)) {
      if (match.index > at) pieces.push({ text: part.slice(at, match.index), unspaced: false });
      pieces.push({ text: match[0], unspaced: true });
      at = match.index + match[0].length;
    }
    if (at < part.length) pieces.push({ text: part.slice(at), unspaced: false });
  }
  return pieces;
}

/** A compound as one word; undefined for what is none. */
function joined(compound: string): string | undefined {
  const folded = fold(compound);
  return /[-']/u.test(folded) ? folded.replace(/[-']/gu, "") : undefined;
}

interface Placed {
  /** Bare: without presentation selectors. */
  readonly text: string;
  readonly start: number;
  readonly end: number;
}

function splitEmojis(text: string): { readonly emojis: readonly Placed[]; readonly rest: string } {
  const emojis: Placed[] = [];
  let rest = "";
  let at = 0;
  for (const grapheme of graphemes(text)) {
    const end = at + grapheme.length;
    if (EMOJI.test(grapheme)) emojis.push({ text: bare(grapheme), start: at, end });
    rest += EMOJI.test(grapheme) ? " ".repeat(grapheme.length) : grapheme;
    at = end;
  }
  return { emojis, rest };
}

/** Characters of a text around its first found word; more does not fit two lines of a result. */
const EXCERPT_BEFORE = 40;

/** The same parts from shortly before the first found word on. */
export function excerpt(parts: readonly Marked[]): Marked[] {
  const [first, ...rest] = parts;
  if (!first || first.found || first.text.length <= EXCERPT_BEFORE) return [...parts];
  const tail = truncateStart(first.text, EXCERPT_BEFORE);
  return [{ text: `…${tail.slice(tail.indexOf(" ") + 1)}`, found: false }, ...rest];
}
