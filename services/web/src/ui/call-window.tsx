import type { JSX } from "preact";
import type { CallView, ParleyClient } from "../parley";
import { endLine } from "../parley";
import { Avatar } from "./avatar";
import { duration } from "./format";
import { useDialogFocus, useEscape, useNow } from "./hooks";
import type { IconName } from "./icons";
import { Icon } from "./icons";
import { TrackAudio, TrackVideo } from "./track-view";

interface CallWindowProps {
  readonly client: ParleyClient;
  readonly call: CallView;
  readonly nameOf: (userId: string) => string;
  /** Beside the conversation instead of over it. */
  readonly small: boolean;
  readonly setSmall: (small: boolean) => void;
}

/** The running call: large, or made small beside the conversation. */
export function CallWindow({ client, call, nameOf, small, setSmall }: CallWindowProps): JSX.Element {
  const dialog = useDialogFocus();
  const nowMs = useNow(500);
  const name = nameOf(call.peerUserId);
  useEscape(small ? undefined : () => setSmall(true));
  const { remote } = call;
  const seen = call.phase === "active" && remote && !remote.videoMuted ? remote.video : undefined;
  const line = statusLine(call, name, nowMs);
  return (
    <div class={`call ${small ? "call-small" : "call-full"}`} ref={dialog} tabIndex={-1} role="dialog" aria-modal={!small} aria-label={`Call with ${name}`}>
      <div class="stage">
        {seen ? <TrackVideo track={seen} class="remote-video" label={`Video of ${name}`} /> : <Absent call={call} name={name} />}
        {remote?.audio && <TrackAudio track={remote.audio} />}
      </div>
      <header class="call-header">
        <div class="grow">
          <h2>{name}</h2>
          <p role="status" data-testid="call-status">
            {line}
          </p>
        </div>
        <button type="button" class="icon-button" aria-label={small ? "Enlarge call" : "Make call smaller"} title={small ? "Enlarge" : "Make smaller (Esc)"} onClick={() => setSmall(!small)}>
          <Icon name={small ? "grow" : "shrink"} />
        </button>
      </header>
      {isLost(call) && (
        <p class="lost" aria-hidden="true">
          <span class="spinner" />
          Reconnecting…
        </p>
      )}
      <PeerState call={call} name={name} />
      {call.camera && call.phase !== "ended" && <TrackVideo track={call.camera} class="local-video" label="Your camera" />}
      {call.deviceProblem && call.phase !== "ended" && (
        <p class="device-problem" role="alert">
          <Icon name="alert" />
          {call.deviceProblem}
        </p>
      )}
      {call.phase !== "ended" && <Controls client={client} call={call} />}
    </div>
  );
}

/** In place of the other's picture. */
function Absent({ call, name }: { call: CallView; name: string }): JSX.Element {
  const waiting = call.phase === "calling" || call.phase === "starting";
  return (
    <div class="absent">
      <span class={waiting ? "pulse" : ""}>
        <Avatar userId={call.peerUserId} name={name} size="large" />
      </span>
    </div>
  );
}

/** What the other side has switched off. */
function PeerState({ call, name }: { call: CallView; name: string }): JSX.Element | null {
  const { remote } = call;
  if (call.phase !== "active" || !remote) return null;
  const dark = call.video && remote.videoMuted;
  const line = remote.audioMuted ? `${name} is muted${dark ? " · camera is off" : ""}` : dark && `${name}'s camera is off`;
  if (!line) return null;
  return (
    <p class="peer-state" data-testid="peer-state">
      {remote.audioMuted && <Icon name="mic" struck />}
      {line}
    </p>
  );
}

function Controls({ client, call }: { client: ParleyClient; call: CallView }): JSX.Element {
  const { calls } = client;
  const camera = call.camera !== undefined;
  return (
    <div class="controls">
      <Control icon="mic" struck={call.muted} label={call.muted ? "Unmute" : "Mute"} onClick={() => void calls.setMuted(!call.muted)} />
      <Control icon="video" struck={!camera} label={camera ? "Turn camera off" : "Turn camera on"} onClick={() => void calls.setCamera(!camera)} />
      <button type="button" class="round danger" aria-label="Hang up" title="Hang up" onClick={() => calls.hangUp()}>
        <Icon name="hangUp" />
      </button>
    </div>
  );
}

interface ControlProps {
  readonly icon: IconName;
  readonly struck: boolean;
  readonly label: string;
  readonly onClick: () => void;
}

function Control({ icon, struck, label, onClick }: ControlProps): JSX.Element {
  return (
    <button type="button" class={`round plain ${struck ? "struck" : ""}`} aria-label={label} title={label} onClick={onClick}>
      <Icon name={icon} struck={struck} />
    </button>
  );
}

function statusLine(call: CallView, name: string, nowMs: number): string {
  const byCaller = call.call?.callerId !== call.peerUserId;
  switch (call.phase) {
    case "starting":
    case "calling":
      return call.phase === "calling" ? "Ringing…" : "Calling…";
    case "accepting":
      return "Connecting…";
    case "ended":
      return call.problem ?? withLength(call, endLine(call.call?.endReason, name, byCaller));
    default:
      return activeLine(call, nowMs);
  }
}

function activeLine(call: CallView, nowMs: number): string {
  if (isLost(call)) return "Reconnecting…";
  if (call.link !== "connected") return "Connecting…";
  const answeredMs = call.call?.answerTimeMs;
  return answeredMs === undefined ? "Connected" : duration((nowMs - answeredMs) / 1000);
}

/** The media stopped and is being brought back. The header says so too, which is what readers hear. */
function isLost(call: CallView): boolean {
  return call.phase === "active" && ["shaky", "rejoining", "waiting"].includes(call.link);
}

function withLength(call: CallView, line: string): string {
  const { answerTimeMs, endTimeMs } = call.call ?? {};
  return answerTimeMs && endTimeMs ? `${line} · ${duration((endTimeMs - answerTimeMs) / 1000)}` : line;
}
