import { graphemes } from "@parley/client";
import type { ReactElement } from "react";

export interface AvatarProps {
  readonly name: string;
  /** Where the picture is; initials without it. */
  readonly url?: string | undefined;
  readonly online?: boolean;
}

/** A person's or group's picture. The name stands beside it, so that it says nothing itself. */
export function Avatar({ name, url, online = false }: AvatarProps): ReactElement {
  return (
    <span className={online ? "parley-avatar parley-avatar-online" : "parley-avatar"} aria-hidden="true">
      {url ? <img className="parley-avatar-picture" src={url} alt="" loading="lazy" referrerPolicy="no-referrer" /> : initials(name)}
    </span>
  );
}

function initials(name: string): string {
  const words = name.split(/\s+/u).filter(Boolean);
  const chosen = words.length > 1 ? [words[0], words.at(-1)] : [words[0]];
  return chosen.map((word) => graphemes(word ?? "")[0]?.toLocaleUpperCase() ?? "").join("");
}
