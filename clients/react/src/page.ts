import type { ParleyClient } from "@parley/client";

/** Tells the client what happens to the page that it is in: hidden, online again, closed. Returns what ends it. */
export function followPage(client: ParleyClient): () => void {
  const seen = (): void => client.setHidden(document.hidden);
  const online = (): void => client.reconnect();
  const closed = (): void => client.hangUpOnUnload();
  document.addEventListener("visibilitychange", seen);
  addEventListener("online", online);
  addEventListener("pagehide", closed);
  return () => {
    document.removeEventListener("visibilitychange", seen);
    removeEventListener("online", online);
    removeEventListener("pagehide", closed);
  };
}
