import type { DevUser, MediaFactory, TokenProvider } from "@parley/client";
import { devTokens, devUsers, displayName, LoginError, ParleyClient, readToken, storedDeviceId } from "@parley/client";
import { RingTone } from "./ring";
import type { Problem } from "./text";

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
  readonly createClient?: (userId: string, tokens: TokenProvider) => ParleyClient;
  readonly loadUsers?: () => Promise<DevUser[]>;
  readonly devTokens?: (userId: string) => TokenProvider;
  readonly media?: MediaFactory;
}

/** The logged-in user: logs in and out, and connects the client to the page's life cycle. */
export class Session {
  state: SessionState = { client: undefined, offered: [], problem: undefined, busy: false };
  private readonly listeners = new Set<() => void>();
  private readonly ring = new RingTone();

  constructor(private readonly options: SessionOptions = {}) {
    addEventListener("pagehide", () => this.state.client?.hangUpOnUnload());
    addEventListener("online", () => this.state.client?.reconnect());
    document.addEventListener("visibilitychange", () => {
      if (document.visibilityState === "visible") this.state.client?.retryNow();
    });
  }

  subscribe(listener: () => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  /** A person's name, if the network gave one; the id otherwise. */
  nameOf = (userId: string): string => displayName(this.state.offered.find((user) => user.userId === userId)?.name ?? userId);

  /** Takes the user from the address (`?user=alice`), if there is one. */
  async open(): Promise<void> {
    this.set({ offered: await (this.options.loadUsers ?? devUsers)() });
    const userId = new URLSearchParams(location.search).get("user");
    if (userId) await this.loginDev(userId);
  }

  /** Logs in as a user of the development issuer. */
  async loginDev(userId: string): Promise<void> {
    if (await this.login((this.options.devTokens ?? devTokens)(userId))) this.remember(userId);
  }

  /**
   * Logs in with a token of the embedding network: the JWT, or a function that returns one whenever it is needed.
   * Returns whether it worked; if not, `state.problem` has the reason.
   */
  async login(given: string | TokenProvider): Promise<boolean> {
    this.set({ busy: true, problem: undefined });
    try {
      const tokens: TokenProvider = typeof given === "string" ? () => Promise.resolve(readToken(given)) : given;
      const { userId } = await tokens();
      this.state.client?.stop();
      const client = this.createClient(userId, tokens);
      client.onRing = (ringing) => this.ring.set(ringing);
      client.start();
      this.set({ client, busy: false });
      return true;
    } catch (error) {
      this.set({ busy: false, problem: problemOf(error) });
      return false;
    }
  }

  logout(): void {
    this.state.client?.stop();
    this.set({ client: undefined, problem: undefined });
    history.replaceState(null, "", location.pathname);
  }

  private createClient(userId: string, tokens: TokenProvider): ParleyClient {
    if (this.options.createClient) return this.options.createClient(userId, tokens);
    return new ParleyClient({ userId, deviceId: storedDeviceId(userId), tokens });
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

/** Why there was no token: the library's reasons, no answer at all, or what the embedding page's function said. */
function problemOf(error: unknown): SessionState["problem"] {
  if (error instanceof LoginError) return error.told;
  return error instanceof TypeError || !(error instanceof Error) ? "login.unreachable" : { words: error.message };
}
