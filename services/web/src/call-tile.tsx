import type { JSX } from "preact";
import { Avatar } from "./avatar";
import { Icon } from "./icons";
import { TrackVideo } from "./track-view";

export interface TileProps {
  readonly userId: string;
  readonly name: string;
  /** Undefined when there is none, or it is switched off. */
  readonly video: MediaStreamTrack | undefined;
  readonly screen?: boolean;
  readonly muted?: boolean;
  readonly speaking?: boolean;
  readonly hand?: boolean;
  /** One's own camera: people know themselves from the mirror. */
  readonly mirrored?: boolean;
  readonly size?: { readonly width: number; readonly height: number };
}

/** One person of a group's call, or a screen that somebody shows. */
export function CallTile({ userId, name, video, screen = false, muted = false, speaking = false, hand = false, mirrored = false, size }: TileProps): JSX.Element {
  const small = size !== undefined && size.height < 170;
  const classes = ["tile", screen && "tile-screen", speaking && "speaking", mirrored && "mirrored", small && "tile-small"];
  const style = size && { width: `${size.width}px`, height: `${size.height}px` };
  return (
    <li class={classes.filter(Boolean).join(" ")} style={style} data-testid={screen ? "screen-tile" : "tile"} data-user={userId}>
      {video ? <TrackVideo track={video} class="tile-video" label={screen ? `Screen of ${name}` : `Video of ${name}`} /> : <Avatar userId={userId} name={name} size={small ? "small" : "large"} />}
      {hand && (
        <span class="tile-hand" title="Hand raised">
          <Icon name="hand" />
        </span>
      )}
      <span class="tile-name">
        {muted && <Icon name="mic" struck />}
        <span class="tile-text">{screen ? `${name}'s screen` : name}</span>
        <span class="visually-hidden">
          {muted && ", muted"}
          {!video && !screen && ", camera off"}
          {hand && ", hand raised"}
        </span>
      </span>
    </li>
  );
}
