import type { JSX } from "preact";
import { createContext } from "preact";
import { useContext, useState } from "preact/hooks";
import { avatarTone, initials } from "./format";
import { PictureSymbol, SYMBOLS, type SymbolName } from "./symbols";

interface AvatarProps {
  readonly userId: string;
  readonly name: string;
  readonly size?: "tiny" | "small" | "large";
  /** Undefined shows no dot. */
  readonly online?: boolean | undefined;
  /** A reference to a group's picture; see `pictureOf`. Undefined for a person: their picture is the network's. */
  readonly picture?: string | undefined;
}

/** Where the pictures of people are, by their ids; empty for none. */
export const Faces = createContext<(userId: string) => string>(() => "");

/** A person's or group's round picture. Name and presence are beside it as text, so screen readers skip it. */
export function Avatar({ userId, name, size = "small", online, picture }: AvatarProps): JSX.Element {
  const [broken, setBroken] = useState("");
  const faceOf = useContext(Faces);
  const { symbol, address } = pictureOf(picture ?? faceOf(userId));
  return (
    <span class={`avatar avatar-${size} tone-${avatarTone(userId)}`} aria-hidden="true">
      {symbol ? <PictureSymbol name={symbol} /> : initials(name)}
      {address && broken !== address && <img src={address} alt="" onError={() => setBroken(address)} />}
      {online && <span class="dot" />}
    </span>
  );
}

export interface Picture {
  readonly symbol?: SymbolName;
  readonly address?: string;
}

const SYMBOL = "symbol:";

/**
 * What this page makes of a picture's reference, which Parley itself does not read: `symbol:mountain` is a drawing of
 * this page's own, an address of this site is a picture. Everything else is left to networks that know their own references.
 */
export function pictureOf(reference: string): Picture {
  const name = reference.startsWith(SYMBOL) ? reference.slice(SYMBOL.length) : "";
  if (Object.hasOwn(SYMBOLS, name)) return { symbol: name as SymbolName };
  return isOfThisSite(reference) ? { address: reference } : {};
}

/** A path, and nothing that a browser reads as another host: it takes a backslash for a slash, and no notice of tabs. */
function isOfThisSite(reference: string): boolean {
  const base = "https://this.invalid";
  return /^\/[^/]/.test(reference) && URL.canParse(reference, base) && new URL(reference, base).origin === base;
}

export function symbolReference(name: SymbolName): string {
  return SYMBOL + name;
}
