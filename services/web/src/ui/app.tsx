import type { JSX } from "preact";
import { useEffect, useReducer } from "preact/hooks";
import { Login } from "./login";
import type { Session } from "./session";
import { Shell } from "./shell";

/** The page: the login until someone is there, then their conversations. */
export function App({ session }: { session: Session }): JSX.Element {
  const [, redraw] = useReducer((count: number) => count + 1, 0);
  useEffect(() => session.subscribe(() => redraw(undefined)), [session]);
  const { client } = session.state;
  if (!client) return <Login session={session} />;
  return <Shell key={client.userId} client={client} nameOf={session.nameOf} onLogout={() => session.logout()} />;
}
