/** Plays the tracks of a call: `@parley/client/playback`. It takes in nothing else of the library. */

/** What happens when somebody is there again. */
const SIGNS_OF_LIFE = ["visibilitychange", "pointerdown", "keydown"];

/**
 * Plays a track, apart from all others, until the returned function is called.
 *
 * Browsers refuse to play before somebody has touched the page, and phones stop what plays for a telephone call and do not begin
 * again: it is begun anew when somebody touches the page, or sees it again.
 */
export function playTrack(element: HTMLMediaElement | null, track: MediaStreamTrack): () => void {
  if (!element) return () => undefined;
  element.srcObject = new MediaStream([track]);
  const play = (): void => void element.play()?.catch(() => undefined);
  const goOn = (): void => {
    if (element.paused && !document.hidden) play();
  };
  play();
  for (const sign of SIGNS_OF_LIFE) document.addEventListener(sign, goOn);
  return () => {
    for (const sign of SIGNS_OF_LIFE) document.removeEventListener(sign, goOn);
    element.srcObject = null;
  };
}

/** Plays on a loudspeaker for as long as that is there, and on the browser's own otherwise. Returns what ends the watch for it. */
export function playOn(element: Pick<HTMLMediaElement, "setSinkId"> | null, speaker: string | undefined): () => void {
  // Not every browser lets a page choose.
  if (!element?.setSinkId || speaker === undefined) return () => undefined;
  // Rises with each turn: a refusal that comes late says nothing of what was asked for since.
  let turns = 0;
  const turn = async (): Promise<void> => {
    const mine = ++turns;
    await element.setSinkId(speaker).catch(() => (mine === turns ? element.setSinkId("") : undefined));
  };
  const watch = (): void => void turn().catch(() => undefined);
  watch();
  navigator.mediaDevices?.addEventListener("devicechange", watch);
  return () => {
    turns++;
    navigator.mediaDevices?.removeEventListener("devicechange", watch);
    void element.setSinkId("").catch(() => undefined);
  };
}
