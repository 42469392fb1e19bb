import type { JSX } from "preact";
import { avatarTone, initials } from "./format";

interface AvatarProps {
  readonly userId: string;
  readonly name: string;
  readonly size?: "tiny" | "small" | "large";
  /** Undefined shows no dot. */
  readonly online?: boolean | undefined;
}

/** A person's round picture. Their name, and whether they are online, stand in words beside it: readers skip it. */
export function Avatar({ userId, name, size = "small", online }: AvatarProps): JSX.Element {
  return (
    <span class={`avatar avatar-${size} tone-${avatarTone(userId)}`} aria-hidden="true">
      {initials(name)}
      {online && <span class="dot" />}
    </span>
  );
}
