import type { JSX } from "preact";
import { useEffect } from "preact/hooks";
import type { CallParticipant, CallView, ParleyClient, RemoteParticipant, VideoRequest } from "@parley/client";
import { joined } from "@parley/client";
import { CallTile, type TileProps } from "./call-tile";
import { useSize } from "./hooks";
import { tile } from "./tiling";
import { t } from "./text";

interface GroupStageProps {
  readonly client: ParleyClient;
  readonly call: CallView;
  readonly nameOf: (userId: string) => string;
  readonly small: boolean;
}

const GAP_PX = 10;
/** Beside a screen. */
const STRIP_TILE = { width: 172, height: 112 };
/** Pictures are asked for in these heights, so that a window that is drawn larger does not ask anew with each pixel. */
const HEIGHTS_PX = [180, 360, 720];

/** The people of a group's call as tiles; a screen that somebody shows goes before them. */
export function GroupStage({ client, call, nameOf, small }: GroupStageProps): JSX.Element {
  const [stage, size] = useSize<HTMLDivElement>();
  const people = tilesOf(client, call, nameOf);
  const shared = call.remotes.find((remote) => remote.screen);
  const tiling = tile(people.length, size.width, size.height, GAP_PX);
  const height = shared || small ? STRIP_TILE.height : tiling.height;
  useVideoRequests(client, call, people, Math.ceil(height * devicePixelRatio));
  const screen = shared?.screen && <CallTile key="screen" userId={shared.userId} name={nameOf(shared.userId)} video={shared.screen} screen />;
  if (small) {
    const main = people.find((person) => person.speaking) ?? people[0];
    return (
      <div class="group-stage" ref={stage}>
        <ul class="tiles alone">{screen ?? (main && <CallTile {...main} />)}</ul>
      </div>
    );
  }
  return (
    <div class={`group-stage ${screen ? "has-screen" : ""}`} ref={stage}>
      {screen && <ul class="tiles alone">{screen}</ul>}
      <ul class={screen ? "tiles strip" : "tiles"} style={{ gap: `${GAP_PX}px` }} aria-label={t("call.people.in")}>
        {people.map((person) => (
          <CallTile key={person.userId} {...person} size={screen ? STRIP_TILE : tiling} />
        ))}
      </ul>
    </div>
  );
}

/** The others in the order of the call's list, and then this user. */
function tilesOf(client: ParleyClient, call: CallView, nameOf: (userId: string) => string): TileProps[] {
  const inCall = call.call ? joined(call.call) : [];
  const others = inCall.filter((p) => p.userId !== client.userId);
  const own = inCall.find((p) => p.userId === client.userId);
  const remotes = new Map(call.remotes.map((remote) => [remote.userId, remote]));
  const self: TileProps = {
    userId: client.userId,
    name: t("you"),
    video: call.camera,
    muted: call.muted,
    speaking: call.speakers.includes(client.userId) && !call.muted,
    hand: own?.handRaiseTimeMs !== undefined,
    mirrored: true,
  };
  return [...others.map((person) => tileOf(person, remotes.get(person.userId), call, nameOf)), self];
}

function tileOf({ userId, handRaiseTimeMs, guest }: CallParticipant, remote: RemoteParticipant | undefined, call: CallView, nameOf: (userId: string) => string): TileProps {
  return {
    userId,
    name: guest ? t("call.guest.name", { name: nameOf(userId) }) : nameOf(userId),
    video: remote?.videoMuted === false ? remote.video : undefined,
    // Whether participants without an audio slot are muted is not known: they do not speak now.
    muted: remote?.audioMid !== undefined && remote.audioMuted,
    speaking: call.speakers.includes(userId),
    hand: handRaiseTimeMs !== undefined,
  };
}

/** Tells the SFU how large everybody is shown, and that a screen goes before all cameras. */
function useVideoRequests(client: ParleyClient, call: CallView, people: readonly TileProps[], heightPx: number): void {
  const maxHeight = HEIGHTS_PX.find((height) => height >= heightPx) ?? 0;
  const others = people.filter((person) => !person.mirrored).map((person) => person.userId);
  useEffect(() => {
    if (others.length === 0 || heightPx <= 0) return;
    const of = (screen: boolean) => (userId: string): VideoRequest => ({ userId, screen, maxHeight: screen ? 0 : maxHeight, pinned: screen });
    client.calls.requestVideo([...others.map(of(true)), ...others.map(of(false))]);
  }, [others.join(" "), maxHeight, heightPx > 0, call.connection]);
}
