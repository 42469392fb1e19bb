/** A text that depends on `count`, by the plural categories of its language. */
export type Plural = { readonly other: string } & { readonly [category in Intl.LDMLPluralRule]?: string };

export type Text = string | Plural;

/** What another language has to have: each key of English, with a text, or with plural forms where English has them. */
export type Translated<T> = {
  readonly [K in keyof T]: T[K] extends string ? string : T[K] extends { readonly other: string } ? Plural : Translated<T[K]>;
};
