import { createContext } from "preact";
import { useContext, useEffect, useState } from "preact/hooks";
import type { LinkPreview } from "@parley/client";
import { findEntities, isBlank } from "@parley/client";

/** What a network found behind an address. */
export type FoundPage = Pick<LinkPreview, "title"> & Partial<LinkPreview>;

/** Asks the network what is behind an address; nothing where there is nothing to show. `signal`: nobody waits for it any more. */
export type LinkResolver = (url: string, signal: AbortSignal) => Promise<FoundPage | undefined>;

/** The way to find out; without one no previews are made. */
export const LinkPreviews = createContext<LinkResolver | undefined>(undefined);

/** Whoever types goes on within this time. Raising it shows a preview later; lowering it asks about addresses that are half written. */
export const PAUSE_MS = 500;
/** In code points, as the service takes them. */
const MOST = { title: 200, description: 400, siteName: 100 };
/** More marks in a row reach into other lines: the service refuses them. */
const TOWER = /((?:\p{M}\p{Cf}*){30})(?:\p{M}\p{Cf}*)+/gu;

/** The addresses that become links of a text, in their order. */
export function linksOf(text: string): string[] {
  return findEntities(text, []).flatMap((entity) => (entity.kind === "link" ? [entity.url] : []));
}

/** What was found, as the service takes it; undefined where there is nothing to read. */
export function fitting(found: FoundPage | undefined, url: string): LinkPreview | undefined {
  const title = line(found?.title, MOST.title);
  if (!found || isBlank(title)) return undefined;
  return { url, title, description: line(found.description, MOST.description), siteName: line(found.siteName, MOST.siteName) };
}

function line(words: string | undefined, most: number): string {
  return [...(words ?? "").replace(/[\p{Cc}\p{Zl}\p{Zp}]+/gu, " ").replace(TOWER, "$1").trim()].slice(0, most).join("");
}

/**
 * The preview that goes with a text: of its first link, unless `known` is of another of its links. It is asked for once the link
 * has stood for a while, and the question is given up when the link changes.
 */
export function useLinkPreview(text: string, known: LinkPreview | undefined) {
  const resolve = useContext(LinkPreviews);
  const [found, setFound] = useState<LinkPreview | undefined>(undefined);
  const [dropped, setDropped] = useState("");
  const links = linksOf(text);
  const first = known && links.includes(known.url) ? known.url : links[0];
  const url = first === dropped ? undefined : first;
  const preview = [known, found].find((each) => each !== undefined && each.url === url);
  const asked = preview ? undefined : url;
  useEffect(() => {
    if (asked === undefined || !resolve) return undefined;
    const request = new AbortController();
    const ask = async (): Promise<void> => {
      const page = await resolve(asked, request.signal).catch(() => undefined);
      if (!request.signal.aborted) setFound(fitting(page, asked));
    };
    const timer = setTimeout(() => void ask(), PAUSE_MS);
    return () => {
      clearTimeout(timer);
      request.abort();
    };
  }, [asked, resolve]);
  return { preview, drop: () => setDropped(first ?? ""), leaveOut: setDropped };
}
