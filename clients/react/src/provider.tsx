import type { ParleyClient } from "@parley/client";
import { createContext, type ReactElement, type ReactNode, useContext, useEffect, useMemo } from "react";
import { ENGLISH, type Labels } from "./labels.js";
import { followPage } from "./page.js";

interface Surroundings {
  readonly client: ParleyClient;
  readonly labels: Labels;
  readonly locale: string | undefined;
}

const Context = createContext<Surroundings | undefined>(undefined);

export interface ParleyProviderProps {
  /** The user's client, which the app makes and starts. Without one, `fallback` is shown: on a server, or before a login. */
  readonly client: ParleyClient | null | undefined;
  readonly fallback?: ReactNode;
  /** The words of all components, where they are not the English ones. Keep the object's identity: a new one draws everything again. */
  readonly labels?: Partial<Labels> | undefined;
  /** Of dates and numbers, as in BCP 47; the browser's without it. */
  readonly locale?: string | undefined;
  /** Whether the client is told what happens to the page: hidden, online again, closed. True without it. */
  readonly page?: boolean;
  readonly children?: ReactNode;
}

/** Gives a client to the hooks and components below. It neither starts nor stops it. */
export function ParleyProvider({ client, fallback, labels, locale, page = true, children }: ParleyProviderProps): ReactElement {
  useEffect(() => (page && client ? followPage(client) : undefined), [page, client]);
  const surroundings = useMemo(() => client && { client, labels: { ...ENGLISH, ...labels }, locale }, [client, labels, locale]);
  return surroundings ? <Context.Provider value={surroundings}>{children}</Context.Provider> : <>{fallback}</>;
}

function useSurroundings(): Surroundings {
  const found = useContext(Context);
  if (!found) throw new Error("@parley/react: this has to stand within a <ParleyProvider> with a client");
  return found;
}

/** The client of the provider above. */
export function useParley(): ParleyClient {
  return useSurroundings().client;
}

/** The words of the provider above, with those that a component was given itself. */
export function useLabels(own?: Partial<Labels>): Labels {
  const { labels } = useSurroundings();
  return useMemo(() => (own ? { ...labels, ...own } : labels), [labels, own]);
}

/** What dates and numbers are written by; undefined for the browser's own choice. */
export function useLocale(): string | undefined {
  return useSurroundings().locale;
}
