import { type Catalog, en } from "./texts/en";

/** Where the choice is kept in this browser. */
const KEPT = "parley.language";

interface Language {
  /** What its speakers call it. */
  readonly name: string;
  readonly direction: "ltr" | "rtl";
  /** How names are listed, where that is not the language's own way. */
  readonly lists?: string;
  readonly load: () => Promise<Catalog>;
}

/** The languages of the page. All but English are files of their own, so that nobody loads what they do not read. */
export const LANGUAGES = {
  // Our English has no comma before "and".
  en: { name: "English", direction: "ltr", lists: "en-GB", load: () => Promise.resolve<Catalog>(en) },
  ar: { name: "العربية", direction: "rtl", load: async () => (await import("./texts/ar")).ar },
  es: { name: "Español", direction: "ltr", load: async () => (await import("./texts/es")).es },
} as const satisfies Record<string, Language>;

export type LanguageCode = keyof typeof LANGUAGES;

export function isLanguage(code: string): code is LanguageCode {
  return Object.hasOwn(LANGUAGES, code);
}

/** The first of the reader's languages that the page has. `wanted` are BCP 47 tags, the dearest first. */
export function bestLanguage(wanted: readonly string[]): LanguageCode {
  return wanted.map(languageOf).find(isLanguage) ?? "en";
}

/** The reader's own variant of a language, as of its dates and digits; the language itself if they have none. */
export function localeFor(code: LanguageCode, wanted: readonly string[]): string {
  return wanted.find((tag) => languageOf(tag) === code) ?? code;
}

function languageOf(tag: string): string {
  return tag.split("-")[0]?.toLowerCase() ?? "";
}

const wantedHere = (): readonly string[] => globalThis.navigator?.languages ?? [];

/** The language in which the page speaks, and the browser's ways to write numbers, dates and lists in it. */
class PageLanguage {
  code: LanguageCode = "en";
  catalog: Catalog = en;
  /** Empty: as the browser has it. */
  choice: LanguageCode | "" = "";
  private intl = formatsOf("en");
  private readonly listeners = new Set<() => void>();
  private latest = 0;

  get isRightToLeft(): boolean {
    return LANGUAGES[this.code].direction === "rtl";
  }

  get formats(): Formats {
    return this.intl;
  }

  subscribe(listener: () => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  /** As it was chosen here before, or as the browser has it. English, if the other cannot be loaded. */
  async open(): Promise<void> {
    const kept = readKept();
    await this.use(isLanguage(kept) ? kept : "").catch(() => this.apply("en", en));
  }

  /** Speaks another language from now on, and after a reload. Rejects when it cannot be loaded; then nothing changes. */
  async choose(choice: LanguageCode | ""): Promise<void> {
    await this.use(choice);
    keep(this.choice);
  }

  private async use(choice: LanguageCode | ""): Promise<void> {
    const turn = ++this.latest;
    const code = choice || bestLanguage(wantedHere());
    const catalog = await LANGUAGES[code].load();
    // Another was chosen meanwhile.
    if (turn !== this.latest) return;
    this.choice = choice;
    this.apply(code, catalog);
  }

  private apply(code: LanguageCode, catalog: Catalog): void {
    this.code = code;
    this.catalog = catalog;
    this.intl = formatsOf(code);
    if (typeof document !== "undefined") {
      document.documentElement.lang = code;
      document.documentElement.dir = LANGUAGES[code].direction;
    }
    for (const listener of this.listeners) listener();
  }
}

export interface Formats {
  readonly plurals: Intl.PluralRules;
  readonly numbers: Intl.NumberFormat;
  readonly lists: Intl.ListFormat;
  /** A length's minutes and seconds, which have two digits each. */
  readonly twoDigits: Intl.NumberFormat;
  /** A format of dates is costly to make, and each row of a conversation needs one. */
  dates(options: Intl.DateTimeFormatOptions): Intl.DateTimeFormat;
  /** `unit`: byte, kilobyte or megabyte. */
  sizes(unit: string): Intl.NumberFormat;
}

function formatsOf(code: LanguageCode): Formats {
  const locale = localeFor(code, wantedHere());
  const { lists = locale }: Language = LANGUAGES[code];
  const dates = new Map<Intl.DateTimeFormatOptions, Intl.DateTimeFormat>();
  return {
    plurals: new Intl.PluralRules(locale),
    numbers: new Intl.NumberFormat(locale),
    lists: new Intl.ListFormat(lists),
    twoDigits: new Intl.NumberFormat(locale, { minimumIntegerDigits: 2 }),
    dates(options) {
      const format = dates.get(options) ?? new Intl.DateTimeFormat(locale, options);
      dates.set(options, format);
      return format;
    },
    sizes: (unit) => new Intl.NumberFormat(locale, { style: "unit", unit, unitDisplay: unit === "byte" ? "long" : "short", maximumFractionDigits: 1 }),
  };
}

/** Empty where the browser keeps nothing for pages. */
function readKept(): string {
  try {
    return localStorage.getItem(KEPT) ?? "";
  } catch {
    return "";
  }
}

function keep(choice: LanguageCode | ""): void {
  try {
    if (choice) localStorage.setItem(KEPT, choice);
    else localStorage.removeItem(KEPT);
  } catch {
    // Then it holds until the page is closed.
  }
}

export const language = new PageLanguage();
