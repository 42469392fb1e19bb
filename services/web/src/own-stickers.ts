import type { NewSticker } from "@parley/client";
import { language, type LanguageCode } from "./language";
import { OWN_STICKERS } from "./stickers";

/** In pixels, each side. */
const SIDE_PX = 240;

/** What is to be seen, which is also what is searched; the pictures are in public/stickers. */
const WORDS: Readonly<Record<string, Readonly<Record<LanguageCode, string>>>> = {
  wave: { en: "A hand waves hello", ar: "يد تلوّح بالتحية", es: "Una mano saluda" },
  heart: { en: "A red heart, love", ar: "قلب أحمر، حب", es: "Un corazón rojo, amor" },
  laugh: { en: "A face laughs until it cries", ar: "وجه يضحك حتى البكاء", es: "Una cara llora de risa" },
  sad: { en: "A sad face with a tear", ar: "وجه حزين مع دمعة", es: "Una cara triste con una lágrima" },
  thumb: { en: "Thumbs up, yes, good", ar: "إبهام مرفوع، نعم، جيد", es: "Pulgar arriba, sí, bien" },
  party: { en: "A party popper, congratulations", ar: "احتفال، تهانينا", es: "Un cañón de confeti, felicidades" },
  coffee: { en: "A hot cup of coffee", ar: "فنجان قهوة ساخن", es: "Una taza de café caliente" },
  sleep: { en: "A face sleeps, good night", ar: "وجه نائم، تصبح على خير", es: "Una cara duerme, buenas noches" },
  flower: { en: "A flower, thank you", ar: "زهرة، شكرًا", es: "Una flor, gracias" },
  sun: { en: "The sun shines, good morning", ar: "الشمس مشرقة، صباح الخير", es: "Brilla el sol, buenos días" },
  star: { en: "A golden star, well done", ar: "نجمة ذهبية، أحسنت", es: "Una estrella dorada, bien hecho" },
  cat: { en: "A grey cat", ar: "قطة رمادية", es: "Un gato gris" },
};

/** Those that hold all of the words in the page's language; all of them for none. */
export function findOwn(words: string): NewSticker[] {
  const wanted = folded(words).split(/\s+/).filter(Boolean);
  const all = Object.entries(WORDS).map(([name, said]) => ({ url: `${OWN_STICKERS}${name}.svg`, width: SIDE_PX, height: SIDE_PX, description: said[language.code], providerRef: name }));
  return all.filter(({ description }) => wanted.every((word) => folded(description).includes(word)));
}

/** Without accents, vowel points and case. */
function folded(text: string): string {
  return text.normalize("NFKD").replace(/\p{M}/gu, "").toLowerCase();
}
