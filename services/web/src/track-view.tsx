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

/** Plays an audio track. Apart from the picture, so that sound goes on when that is switched off. */
export function TrackAudio({ track }: { track: MediaStreamTrack }): JSX.Element {
  const audio = useRef<HTMLAudioElement>(null);
  useEffect(() => attach(audio.current, track), [track]);
  return <audio ref={audio} autoplay />;
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
