import type { Poll } from "./model.js";

/** What the service takes, in code points, and how many. */
export const POLL_LIMITS = { questionChars: 300, optionChars: 100, options: 10 } as const;

/** The options that a person chose, by their places. */
export function choiceOf({ options }: Poll, userId: string): number[] {
  return options.flatMap(({ userIds }, index) => (userIds.includes(userId) ? [index] : []));
}

/** How many people have voted. */
export function votersOf({ options }: Poll): number {
  return new Set(options.flatMap(({ userIds }) => userIds)).size;
}
