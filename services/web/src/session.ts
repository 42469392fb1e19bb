import type { DevUser, MediaFactory, PeopleResolver, StickerProvider, Token, TokenProvider } from "@parley/client";
import { devTokens, devUsers, isKnownHere, LoginError, ParleyClient, readToken, storedDeviceId } from "@parley/client";
import { linkPreview } from "@parley/client/previews";
import { forgetNotices } from "./device-notices";
import { RingTone } from "./ring";
import { ownStickers } from "./stickers";
import type { Problem } from "./text";
import type { LinkResolver } from "./use-link-preview";

/** What somebody else said, in whatever language. */
export interface Words {
  readonly words: string;
}

export interface SessionState {
  readonly client: ParleyClient | undefined;
  /** People that the development issuer offers; empty elsewhere. */
  readonly offered: readonly DevUser[];
  /** Why the login did not work; in its own words where the embedding page's function said so. */
  readonly problem: Problem | Words;
  readonly busy: boolean;
}

export interface SessionOptions {
  /** Makes the client; the mock has its own. */
  readonly createClient?: (userId: string, tokens: TokenProvider, people: PeopleResolver) => ParleyClient;
  readonly loadUsers?: () => Promise<DevUser[]>;
  readonly devTokens?: (userId: string) => TokenProvider;
  /** Whether this browser may have kept something of a user. */
  readonly isKnown?: (userId: string) => boolean;
  readonly media?: MediaFactory;
  readonly linkPreview?: LinkResolver;
}

/** The logged-in user: logs in and out, and connects the client to the page's life cycle. */
export class Session {
  state: SessionState = { client: undefined, offered: [], problem: undefined, busy: false };
  /** The development issuer's names, until the network gives its own. */
  private people: PeopleResolver = async (userIds) => {
    const users = this.state.offered.length > 0 ? this.state.offered : await (this.options.loadUsers ?? devUsers)();
    return Object.fromEntries(users.filter((user) => userIds.includes(user.userId)).map(({ userId, name }) => [userId, { name }]));
  };
  /** Finds what is behind a link that somebody writes. */
  linkPreview: LinkResolver;
  /** Finds stickers to send. */
  stickers: StickerProvider = ownStickers;
  private readonly listeners = new Set<() => void>();
  private readonly ring = new RingTone();

  constructor(private readonly options: SessionOptions = {}) {
    // Parley's own service asks the page, until the network has a way of its own.
    this.linkPreview = options.linkPreview ?? (async (url, signal) => this.state.client && linkPreview(this.state.client, url, { signal }));
    addEventListener("pagehide", () => this.state.client?.hangUpOnUnload());
    addEventListener("online", () => this.state.client?.reconnect());
    for (const event of ["visibilitychange", "enterpictureinpicture", "leavepictureinpicture"]) {
      document.addEventListener(event, () => this.state.client?.setHidden(isHidden()));
    }
  }

  subscribe(listener: () => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  /** A person's name, if the network gave one; the id otherwise. */
  nameOf = (userId: string): string => this.state.client?.people.nameOf(userId) ?? userId;

  /** Where a person's picture is, if the network gave one. */
  faceOf = (userId: string): string => this.state.client?.people.avatarOf(userId) ?? "";

  /** Takes names and pictures from the embedding network; for logins from then on. */
  usePeople(resolver: PeopleResolver): void {
    this.people = resolver;
  }

  /** Shows what is behind the links that somebody writes, as this function of the embedding network finds it. */
  useLinkPreviews(resolver: LinkResolver): void {
    this.linkPreview = resolver;
    this.set({});
  }

  /** Offers the stickers that this provider finds, in place of the page's own. */
  useStickers(provider: StickerProvider): void {
    this.stickers = provider;
    this.set({});
  }

  /** Takes the user from the address (`?user=alice`), if there is one. */
  async open(): Promise<void> {
    // Nobody waits for names: what this browser kept is shown first.
    const offering = (this.options.loadUsers ?? devUsers)().then((offered) => this.set({ offered }));
    const userId = new URLSearchParams(location.search).get("user");
    if (userId) await this.loginDev(userId);
    await offering;
  }

  /** Logs in as a user of the development issuer. */
  async loginDev(userId: string): Promise<void> {
    if (await this.login((this.options.devTokens ?? devTokens)(userId), userId)) this.remember(userId);
  }

  /**
   * Logs in with a token of the embedding network: the JWT, or a function that returns one whenever it is needed.
   * With the user's id it waits for no token where that user was before: what this browser kept is there at once, also
   * without a network. Returns whether it worked; if not, `state.problem` has the reason.
   */
  async login(given: string | TokenProvider, expected?: string): Promise<boolean> {
    this.set({ busy: true, problem: undefined });
    try {
      const ask: TokenProvider = typeof given === "string" ? async () => readToken(given) : given;
      const { first, tokens } = withFirst(ask);
      const isKnown = expected !== undefined && (this.options.isKnown ?? isKnownHere)(expected);
      const userId = isKnown ? expected : (await first).userId;
      this.state.client?.stop();
      const client = this.createClient(userId, tokens);
      client.onRing = (ringing) => this.ring.set(ringing);
      client.start();
      if (isHidden()) client.setHidden(true);
      this.set({ client, busy: false });
      if (isKnown) this.check(first, client, () => void this.login(given));
      return true;
    } catch (error) {
      this.set({ busy: false, problem: problemOf(error) });
      return false;
    }
  }

  /** A login that is refused, or a token of somebody else, ends what was begun without waiting for it. */
  private check(first: Promise<Token>, client: ParleyClient, loginAnew: () => void): void {
    const end = (problem: SessionState["problem"]): boolean => {
      if (this.state.client !== client) return false;
      client.stop();
      this.set({ client: undefined, problem });
      return true;
    };
    first.then(
      ({ userId }) => userId !== client.userId && end(undefined) && loginAnew(),
      (error: unknown) => error instanceof LoginError && end(problemOf(error)),
    );
  }

  /** Forgets what this browser kept of the user. */
  logout(): void {
    const { client } = this.state;
    void client?.wipe();
    if (client) void forgetNotices(client.userId);
    this.set({ client: undefined, problem: undefined });
    history.replaceState(null, "", location.pathname);
  }

  private createClient(userId: string, tokens: TokenProvider): ParleyClient {
    if (this.options.createClient) return this.options.createClient(userId, tokens, this.people);
    return new ParleyClient({ userId, deviceId: storedDeviceId(userId), tokens, people: this.people });
  }

  /** Keeps the user in the address, so that a reload comes back as the same one. */
  private remember(userId: string): void {
    const query = new URLSearchParams(location.search);
    query.set("user", userId);
    history.replaceState(null, "", `?${query}${location.hash}`);
  }

  private set(change: Partial<SessionState>): void {
    this.state = { ...this.state, ...change };
    for (const listener of this.listeners) listener();
  }
}

/** Nobody sees the page, nor a picture of it that stands in a window of its own. */
function isHidden(): boolean {
  return document.visibilityState === "hidden" && !document.pictureInPictureElement;
}

/** The first token is asked for once, for the login and for the client's first requests. */
function withFirst(ask: TokenProvider): { first: Promise<Token>; tokens: TokenProvider } {
  const first = ask();
  let taken = false;
  const tokens = (): Promise<Token> => {
    if (taken) return ask();
    taken = true;
    return first;
  };
  // Whoever waits for it hears of it.
  first.catch(() => undefined);
  return { first, tokens };
}

/** Why there was no token: the library's reasons, no answer at all, or what the embedding page's function said. */
function problemOf(error: unknown): SessionState["problem"] {
  if (error instanceof LoginError) return error.told;
  return error instanceof TypeError || !(error instanceof Error) ? "login.unreachable" : { words: error.message };
}
