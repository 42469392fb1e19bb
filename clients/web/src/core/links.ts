/**
 * Where a link leads, parsed as the browser parses it, and which host to show beside it. The service refuses misleading links
 * (core/links.py); this covers those that older releases stored, and texts that name no host.
 */
export interface LinkTarget {
  readonly href: string;
  /** The host that opens, in ASCII: what is written in other letters may look like another host. */
  readonly host: string;
  /** Whether the text of the link names this host, so that it need not be shown beside it. */
  readonly hostInText: boolean;
}

const MAX_URL_CHARS = 2048;
/** Not seen, or read otherwise than it is checked. */
const INVISIBLE = /[\p{C}\p{Z}\\]/u;
/** Scheme, host and port: no credentials, which can look like a host, and no escapes. */
const ADDRESS = /^https?:\/\/(\[[0-9a-f:.]+\]|[^/?#@\\:[\]%]+)(:[0-9]{1,5})?([/?#]|$)/iu;
/** What is left of a host in ASCII; browsers take more, which other programs do not. */
const HOST = /^(\[[0-9a-f:.]+\]|[a-z0-9_-]+(\.[a-z0-9_-]+)*)$/u;
const HOST_LETTERS = /^[\p{L}\p{M}\p{N}._。．｡-]+$/u;
/** Letters of one of these look like letters of the others. */
const LOOK_ALIKE = [/\p{sc=Latin}/u, /\p{sc=Cyrillic}/u, /\p{sc=Greek}/u, /\p{sc=Armenian}/u, /\p{sc=Cherokee}/u, /\p{sc=Coptic}/u, /\p{sc=Lisu}/u, /\p{sc=Deseret}/u];

/** The host of a plain http or https address, in ASCII; undefined for everything else, which is never opened. */
export function hostOf(url: string): string | undefined {
  const written = ADDRESS.exec(url)?.[1];
  if (!written || url.length > MAX_URL_CHARS || INVISIBLE.test(url)) return undefined;
  if (!written.startsWith("[") && !HOST_LETTERS.test(written)) return undefined;
  if (written.normalize("NFKC").split(/[.。]/u).some(mixesScripts)) return undefined;
  try {
    const { hostname, username, password } = new URL(url);
    const host = hostname.replace(/\.$/u, "");
    return username || password || !HOST.test(host) ? undefined : host;
  } catch {
    return undefined;
  }
}

/** Where a link with this text leads; undefined when it is drawn as text. */
export function targetOf(text: string, url: string): LinkTarget | undefined {
  const host = hostOf(url);
  if (host === undefined) return undefined;
  return { href: url, host, hostInText: namesHost(text, host) };
}

function namesHost(text: string, host: string): boolean {
  const isAddress = /^https?:\/\//iu.test(text);
  const named = hostOf(isAddress ? text : `https://${text}`);
  // A host in other letters than ASCII is always shown in ASCII too.
  return named !== undefined && withoutWww(named) === withoutWww(host) && /^[\x21-\x7e]*$/u.test(isAddress ? (ADDRESS.exec(text)?.[1] ?? "") : text);
}

function withoutWww(host: string): string {
  return host.replace(/^www\./u, "");
}

function mixesScripts(label: string): boolean {
  return LOOK_ALIKE.filter((script) => script.test(label)).length > 1;
}
