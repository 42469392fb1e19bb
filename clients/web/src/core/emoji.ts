// The same rules as the service's (core/emojis.py), but without Unicode's tables: browsers know the properties.

/** VS15 and VS16 ask for a black-and-white or a coloured picture; the emoji stays the same. */
const SELECTORS = /[\ufe0e\ufe0f]/gu;
/** What a browser would draw as text if no VS16 followed, and no skin tone. */
const NEEDS_SELECTOR = /(?!\p{Emoji_Presentation})(\p{Emoji})(?!\p{Emoji_Modifier})/gu;

/** Whether two spellings are one emoji: with presentation selectors or without them. */
export function isSameEmoji(one: string, other: string): boolean {
  return bare(one) === bare(other);
}

/** Spellings of one emoji are equal so. */
export function bare(emoji: string): string {
  return emoji.replace(SELECTORS, "");
}

/** The fully-qualified spelling, as the service keeps it. */
export function qualified(emoji: string): string {
  return bare(emoji).replace(NEEDS_SELECTOR, "$1\ufe0f");
}

interface Put {
  readonly emoji: string;
  readonly userIds: readonly string[];
}

/** Reactions with one for all spellings of an emoji: a service of before may tell several. */
export function gatherReactions(reactions: readonly Put[]): Put[] {
  const gathered = new Map<string, Set<string>>();
  for (const { emoji, userIds } of reactions) {
    const people = gathered.get(bare(emoji)) ?? new Set();
    for (const userId of userIds) people.add(userId);
    gathered.set(bare(emoji), people);
  }
  return [...gathered].map(([emoji, people]) => ({ emoji: qualified(emoji), userIds: [...people] }));
}
