import type { ReactElement } from "react";

interface StoryFile {
  readonly default: { readonly title: string };
  readonly [name: string]: unknown;
}

export interface Story {
  /** Such as `Thread/Group`. */
  readonly name: string;
  readonly render: () => ReactElement;
}

/** Every story of the files beside this one, which are in Storybook's Component Story Format. */
export function allStories(): Story[] {
  const files = Object.values(import.meta.glob<StoryFile>("./*.stories.tsx", { eager: true }));
  return files.flatMap(({ default: meta, ...stories }) =>
    Object.entries(stories as Record<string, { readonly name?: string; readonly render: () => ReactElement }>).map(([key, { name = key, render }]) => ({ name: `${meta.title}/${name}`, render })),
  );
}
