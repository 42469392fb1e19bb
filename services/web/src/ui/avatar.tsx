import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { avatarTone, initials } from "./format";

interface AvatarProps {
  readonly userId: string;
  readonly name: string;
  readonly size?: "tiny" | "small" | "large";
  /** Undefined shows no dot. */
  readonly online?: boolean | undefined;
  /** A reference to a picture; see `pictureOf`. */
  readonly picture?: string;
}

/** A person's or group's round picture. The name, and whether they are online, stand in words beside it: readers skip it. */
export function Avatar({ userId, name, size = "small", online, picture = "" }: AvatarProps): JSX.Element {
  const [broken, setBroken] = useState("");
  const { emoji, address } = pictureOf(picture);
  return (
    <span class={`avatar avatar-${size} tone-${avatarTone(userId)} ${emoji ? "pictured" : ""}`} aria-hidden="true">
      {emoji ?? initials(name)}
      {address && broken !== address && <img src={address} alt="" onError={() => setBroken(address)} />}
      {online && <span class="dot" />}
    </span>
  );
}

export interface Picture {
  readonly emoji?: string;
  readonly address?: string;
}

const EMOJI = "emoji:";

/**
 * What this page makes of a picture's reference, which Parley itself does not read: `emoji:1f3d4` is that emoji,
 * an address of this site is a picture. Everything else is left to networks that know their own references.
 */
export function pictureOf(reference: string): Picture {
  if (reference.startsWith(EMOJI)) {
    const points = reference.slice(EMOJI.length).split("-").map((hex) => Number.parseInt(hex, 16));
    return points.every((point) => point > 0 && point <= 0x10ffff) ? { emoji: String.fromCodePoint(...points) } : {};
  }
  return /^\/[^/]/.test(reference) ? { address: reference } : {};
}

export function emojiReference(emoji: string): string {
  return EMOJI + [...emoji].map((char) => char.codePointAt(0)?.toString(16)).join("-");
}
