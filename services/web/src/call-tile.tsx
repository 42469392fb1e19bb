import type { JSX } from "preact";
import { Avatar } from "./avatar";
import { Icon } from "./icons";
import { TrackVideo } from "./track-view";
import { t } from "./text";

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
      {video ? <TrackVideo track={video} class="tile-video" label={screen ? t("call.screen.of", { name }) : t("call.video.of", { name })} /> : <Avatar userId={userId} name={name} size={small ? "small" : "large"} />}
      {hand && (
        <span class="tile-hand" title={t("call.person.hand")}>
          <Icon name="hand" />
        </span>
      )}
      <span class="tile-name">
        {muted && <Icon name="mic" struck />}
        <span class="tile-text">{screen ? <span>{t("call.screen.name", { name })}</span> : <bdi>{name}</bdi>}</span>
        <span class="visually-hidden">
          {muted && t("tile.muted")}
          {!video && !screen && t("tile.dark")}
          {hand && t("tile.hand")}
        </span>
      </span>
    </li>
  );
}
