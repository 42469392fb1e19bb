import type { JSX } from "preact";
import { avatarTone, initials } from "./format";

interface AvatarProps {
  readonly userId: string;
  readonly name: string;
  readonly size?: "small" | "large";
  /** Undefined shows no dot. */
  readonly online?: boolean | undefined;
}

/** A person's round picture. The name stands beside it everywhere, so readers skip it; the dot is spoken. */
export function Avatar({ userId, name, size = "small", online }: AvatarProps): JSX.Element {
  return (
    <span class={`avatar avatar-${size} tone-${avatarTone(userId)}`}>
      <span aria-hidden="true">{initials(name)}</span>
      {online && <span class="dot" role="img" aria-label="online" />}
    </span>
  );
}
