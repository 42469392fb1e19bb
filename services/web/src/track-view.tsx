import type { JSX } from "preact";
import { useEffect, useRef } from "preact/hooks";

interface TrackVideoProps {
  readonly track: MediaStreamTrack;
  readonly class: string;
  readonly label: string;
}

/** Plays a video track, without sound. */
export function TrackVideo({ track, class: name, label }: TrackVideoProps): JSX.Element {
  const video = useRef<HTMLVideoElement>(null);
  useEffect(() => attach(video.current, track), [track]);
  return <video ref={video} class={name} aria-label={label} autoplay playsInline muted />;
}

interface TrackAudioProps {
  readonly track: MediaStreamTrack;
  /** The browser's id of the loudspeaker; undefined for the one that it chooses. */
  readonly speaker: string | undefined;
}

/** Plays an audio track. Apart from the picture, so that sound goes on when that is switched off. */
export function TrackAudio({ track, speaker }: TrackAudioProps): JSX.Element {
  const audio = useRef<HTMLAudioElement>(null);
  useEffect(() => attach(audio.current, track), [track]);
  useEffect(() => playOn(audio.current, speaker), [speaker]);
  return <audio ref={audio} autoplay />;
}

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

function attach(element: HTMLMediaElement | null, track: MediaStreamTrack): () => void {
  if (!element) return () => undefined;
  element.srcObject = new MediaStream([track]);
  // Refused where the browser wants a click first; the call itself began with one.
  void element.play().catch(() => undefined);
  return () => {
    element.srcObject = null;
  };
}
