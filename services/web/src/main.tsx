import { render } from "preact";
import type { ParleyClient, PeopleResolver, StickerProvider, TokenProvider } from "@parley/client";
import { App } from "./app";
import { Session } from "./session";
import "./styles";
import { allowOwnScripts } from "./trusted-types";
import { language } from "./language";
import type { LinkResolver } from "./use-link-preview";

/** The page's API for an embedding network and for debugging, as `window.parley`. */
export interface ParleyHandle {
  /**
   * Logs in with a JWT of the network, or with a function that returns one whenever it is needed. With the user's id, what
   * this browser kept of them is shown before there is a token.
   */
  login(token: string | TokenProvider, userId?: string): Promise<boolean>;
  /** Takes names and pictures of people from this function, for logins from then on. Pictures are those of this site. */
  usePeople(resolver: PeopleResolver): void;
  /** Asks this function what is behind a link that somebody writes. It asks a server of the network: never the link's host itself. */
  useLinkPreviews(resolver: LinkResolver): void;
  /** Offers the stickers that this provider finds, of hosts that the service allows. It asks a server of the network, which asks the provider. */
  useStickers(provider: StickerProvider): void;
  logout(): void;
  /** The running call's WebRTC statistics, one object a report; empty without a call. */
  stats(): Promise<Record<string, unknown>[]>;
  readonly client: ParleyClient | undefined;
}

declare global {
  interface Window {
    parley: ParleyHandle;
  }
}

allowOwnScripts();
const session = new Session();

window.parley = {
  login: (token, userId) => session.login(token, userId),
  usePeople: (resolver) => session.usePeople(resolver),
  useLinkPreviews: (resolver) => session.useLinkPreviews(resolver),
  useStickers: (provider) => session.useStickers(provider),
  logout: () => session.logout(),
  stats: async () => [...((await session.state.client?.calls.stats())?.values() ?? [])] as Record<string, unknown>[],
  get client() {
    return session.state.client;
  },
};

const root = document.getElementById("app");
// First the language, and with it the direction: nothing is drawn that would have to turn round.
void language.open().then(() => {
  if (root) render(<App session={session} />, root);
  return session.open();
});
