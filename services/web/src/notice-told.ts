/** What the page tells its service worker, which reaches neither the page's catalogs nor its names: it stands in the browser's cache. */
import type { CameVersions } from "@parley/client/notices";

/** Lines of notices in the page's language; `{name}` and `{text}` are filled in. */
export interface NoticeLines {
  readonly message: string;
  readonly mention: string;
  readonly reply: string;
  readonly reaction: string;
  readonly request: string;
  readonly missed: string;
  readonly voice: string;
  readonly video: string;
  readonly by: string;
  readonly mentionBy: string;
  readonly replyBy: string;
  readonly reactionBy: string;
  /** Missing in what a page of the release before has kept. */
  readonly callReminder?: string;
  readonly callBegins?: string;
}

export interface Told {
  /** Where the page is, for a click while none is open. */
  readonly page: string;
  readonly language: string;
  readonly direction: "ltr" | "rtl";
  readonly lines: NoticeLines;
  /** Of people, by their ids. */
  readonly names: Readonly<Record<string, string>>;
}

const CACHE = "parley.notices";
const TOLD = "/notices/told.json";
const CAME = "/notices/came.json";

export const keepTold = (told: Told): Promise<void> => keep(TOLD, told);
/** Undefined where the browser has nothing, or nothing any more. */
export const readTold = async (): Promise<Told | undefined> => (await read(TOLD)) as Told | undefined;

/** What came lately: the worker's own, which is started anew for each push. */
export const keepCame = (came: CameVersions): Promise<void> => keep(CAME, came);
export const readCame = async (): Promise<CameVersions> => ((await read(CAME)) as CameVersions | undefined) ?? {};

/** One change after the other, so that what was on its way at a logout is forgotten too. */
let changing: Promise<unknown> = Promise.resolve();

/** For a logout. */
export function forgetTold(): Promise<void> {
  return inTurn(async () => void (typeof caches !== "undefined" && (await caches.delete(CACHE))));
}

function keep(address: string, value: unknown): Promise<void> {
  return inTurn(async () => (await caches.open(CACHE)).put(address, new Response(JSON.stringify(value), { headers: { "content-type": "application/json" } })));
}

/** Never rejects: what a full or private browser does not keep, the worker does without, and then notices have no words of ours. */
function inTurn(change: () => Promise<void>): Promise<void> {
  const changed = changing.then(change).catch(() => undefined);
  changing = changed;
  return changed;
}

async function read(address: string): Promise<unknown> {
  try {
    return await (await (await caches.open(CACHE)).match(address))?.json();
  } catch {
    return undefined;
  }
}
