import { playOn, playTrack } from "@parley/client/playback";
import { type ReactElement, useEffect, useRef } from "react";
import { Avatar } from "./avatar.js";
import { classes } from "./class-names.js";
import { usePerson } from "./hooks.js";
import type { Labels } from "./labels.js";
import { useSelected } from "./selected.js";

interface CallTileProps {
  readonly userId: string;
  readonly name: string;
  /** Undefined when there is none, or it is switched off. */
  readonly video: MediaStreamTrack | undefined;
  readonly muted?: boolean;
  readonly speaking?: boolean;
  /** A screen that somebody shows. */
  readonly screen?: boolean;
  /** One's own picture, which is shown as in a mirror. */
  readonly own?: boolean;
  readonly labels: Labels;
}

/** One person of a call, or a screen. */
export function CallTile({ userId, name, video, muted = false, speaking = false, screen = false, own = false, labels }: CallTileProps): ReactElement {
  const { avatarUrl } = usePerson(userId);
  return (
    <li className={classes("parley-tile", own && "parley-tile-own", screen && "parley-tile-screen", speaking && !muted && "parley-tile-speaking")} data-user={userId}>
      {video ? <TrackPicture track={video} label={screen ? labels.screenOf(name) : labels.videoOf(name)} /> : <Avatar name={name} url={avatarUrl} />}
      <span className="parley-tile-name">
        <bdi>{name}</bdi> {muted && <span className="parley-tile-muted">{labels.muted}</span>}
      </span>
    </li>
  );
}

function TrackPicture({ track, label }: { track: MediaStreamTrack; label: string }): ReactElement {
  const video = useRef<HTMLVideoElement>(null);
  useEffect(() => playTrack(video.current, track), [track]);
  return <video ref={video} className="parley-video" aria-label={label} autoPlay playsInline muted />;
}

/** Apart from the picture, so that sound goes on when that is switched off. On the loudspeaker that `calls.chooseDevice` chose. */
export function TrackSound({ track }: { track: MediaStreamTrack }): ReactElement {
  const audio = useRef<HTMLAudioElement>(null);
  const speaker = useSelected<string | undefined>((client) => client.calls.deviceChoice.speaker, Object.is, undefined);
  useEffect(() => playTrack(audio.current, track), [track]);
  useEffect(() => playOn(audio.current, speaker), [speaker]);
  return <audio ref={audio} autoPlay />;
}
