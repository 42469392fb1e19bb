// One spelling for what people take for the same letters, as the service's core/folding.py: for marking what was found.

const ARABIC: Record<string, string> = { أ: "ا", إ: "ا", آ: "ا", ٱ: "ا", ى: "ي", ة: "ه", ـ: "", ی: "ي", ک: "ك", ہ: "ه", ۃ: "ه" };
const STROKED = { đ: "d", ð: "d", ø: "o", ł: "l", ħ: "h", ŧ: "t", ı: "i", ƒ: "f", ɓ: "b", ɗ: "d", ƙ: "k", ŋ: "n", ƴ: "y" };
const LATIN: Record<string, string> = { ...STROKED, æ: "ae", œ: "oe", þ: "th", ĸ: "k", ȷ: "j", ɨ: "i", ʉ: "u", ɛ: "e", ɔ: "o", ς: "σ" };
/** Malayalam and Bengali letters without their vowel, in one character. */
const DEAD: Record<string, string> = { "\u0d7a": "\u0d23\u0d4d", "\u0d7b": "\u0d28\u0d4d", "\u0d7c": "\u0d30\u0d4d", "\u0d7d": "\u0d32\u0d4d", "\u0d7e": "\u0d33\u0d4d", "\u0d7f": "\u0d15\u0d4d", "\u09ce": "\u09a4\u09cd" };
const APOSTROPHES = /[’‘‛ʼʻʹʾʿ′＇`´ꞌ׳״]|(?<=\p{sc=Hebrew}\p{M}*)"(?=\p{sc=Hebrew})/gu;
const HYPHENS = /[‐‑־֊﹣－_·]/gu;
const UNSEEN = /[\p{Default_Ignorable_Code_Point}\p{Cf}]/gu;
/** Marks without which people write as well; and those that make another letter of Cyrillic, which stay. */
const LETTER_OR_MARK = /([иИуУ]\u0306|[іІ]\u0308|[гГкК]\u0301)|(?![\u3099\u309a])(?=\p{M})[\p{sc=Inherited}\p{sc=Latin}\p{sc=Greek}\p{sc=Cyrillic}\p{sc=Arabic}\p{sc=Hebrew}\p{sc=Syriac}]/gu;

/** Letters of scripts that write no spaces between words, with their marks; Hangul, where particles are written to the word. */
export const UNSPACED = ["Han", "Hira", "Kana", "Bopo", "Hang", "Thai", "Lao", "Khmr", "Mymr", "Tale", "Talu", "Lana", "Java"]
  .map((name) => `\\p{scx=${name}}`)
  .join("");
export const CLUSTER = new RegExp(`(?=[\\p{L}\\p{N}])[${UNSPACED}]\\p{M}*`, "gu");

/** Folded: no case, no optional marks, ASCII digits, hiragana for katakana, one apostrophe and one hyphen of all kinds. */
export function fold(text: string): string {
  const joined = text.replace(APOSTROPHES, "'").replace(HYPHENS, "-").normalize("NFKD");
  const seen = joined.replace(UNSEEN, "").replace(APOSTROPHES, "'").replace(HYPHENS, "-");
  const lower = withoutMarks(mapped(withoutMarks(mapped(seen, ARABIC)).toUpperCase().toLowerCase(), { ...ARABIC, ...LATIN }));
  return devanagari(mapped(lower, { ...ARABIC, ...LATIN, ...DEAD }))
    .replace(/([\u0e48-\u0e4b])\u0e4d/gu, "\u0e4d$1")
    .replace(/([\u0ec8-\u0ecb])\u0ecd/gu, "\u0ecd$1")
    .replace(/\p{Nd}/gu, digit)
    .normalize("NFC")
    .replace(/[\u30a1-\u30f6\u30fd\u30fe]/gu, (kana) => String.fromCharCode(kana.charCodeAt(0) - 0x60));
}

function mapped(text: string, table: Record<string, string>): string {
  return [...text].map((char) => table[char] ?? char).join("");
}

function withoutMarks(text: string): string {
  return text.normalize("NFKD").replace(LETTER_OR_MARK, (_, letter: string | undefined) => letter ?? "");
}

/** No dot below, and one spelling of the nasal. */
function devanagari(text: string): string {
  return text.replace(/(?<=[\u0900-\u097f])\u093c/gu, "").replace(/[\u0919\u091e\u0923\u0928\u092e]\u094d(?=[\u0915-\u0939])|\u0901/gu, "\u0902");
}

/** Unicode has the digits of a script in a row of ten. */
function digit(char: string): string {
  let value = 0;
  for (let code = (char.codePointAt(0) ?? 0) - 1; value < 9 && /\p{Nd}/u.test(String.fromCodePoint(code)); code--) value++;
  return String(value);
}
