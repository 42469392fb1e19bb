import type { JSX } from "preact";
import { Faces } from "./avatar";
import { useChanges } from "./hooks";
import { Login } from "./login";
import type { Session } from "./session";
import { Shell } from "./shell";
import { language } from "./language";
import { Stickers } from "./stickers";
import { LinkPreviews } from "./use-link-preview";

/** The page: the login until someone is there, then their conversations. */
export function App({ session }: { session: Session }): JSX.Element {
  useChanges(session);
  useChanges(language);
  const { client } = session.state;
  if (!client) return <Login session={session} />;
  return (
    <Faces.Provider value={session.faceOf}>
      <LinkPreviews.Provider value={session.linkPreview}>
        <Stickers.Provider value={session.stickers}>
          <Shell key={client.userId} client={client} nameOf={session.nameOf} onLogout={() => session.logout()} />
        </Stickers.Provider>
      </LinkPreviews.Provider>
    </Faces.Provider>
  );
}
