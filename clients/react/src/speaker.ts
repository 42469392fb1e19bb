/** Plays on a loudspeaker for as long as that is there, and on the browser's own otherwise. Returns what ends the watch for it. */
export function playOn(element: Pick<HTMLMediaElement, "setSinkId"> | null, speaker: string | undefined): () => void {
  // Not every browser lets a page choose.
  if (!element?.setSinkId || speaker === undefined) return () => undefined;
  const turn = (): void => void element.setSinkId(speaker).catch(() => element.setSinkId("").catch(() => undefined));
  turn();
  navigator.mediaDevices?.addEventListener("devicechange", turn);
  return () => {
    navigator.mediaDevices?.removeEventListener("devicechange", turn);
    void element.setSinkId("").catch(() => undefined);
  };
}
