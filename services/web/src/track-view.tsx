import { playOn, playTrack } from "@parley/client/playback";
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
  useEffect(() => playTrack(video.current, track), [track]);
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
  useEffect(() => playTrack(audio.current, track), [track]);
  useEffect(() => playOn(audio.current, speaker), [speaker]);
  return <audio ref={audio} autoplay />;
}
