import type { JSX } from "preact";
import type { CallView, Failure, ParleyClient } from "@parley/client";
import { canShareScreen } from "@parley/client";
import type { IconName } from "./icons";
import { Icon } from "./icons";

/** What one does in a call, at its lower edge. */
export function CallControls({ client, call, small }: { client: ParleyClient; call: CallView; small: boolean }): JSX.Element {
  const { calls } = client;
  const camera = call.camera !== undefined;
  const sharing = call.screen !== undefined;
  const hand = call.call?.participants.some((p) => p.userId === client.userId && p.handRaiseTimeMs !== undefined) ?? false;
  const raise = () => void calls.actions.setHand(!hand).catch((failure: Failure) => client.showNotice(failure.line));
  return (
    <div class="controls" role="toolbar" aria-label="Call">
      <Control icon="mic" struck={call.muted} label={call.muted ? "Unmute" : "Mute"} onClick={() => void calls.setMuted(!call.muted)} />
      <Control icon="video" struck={!camera} label={camera ? "Turn camera off" : "Turn camera on"} onClick={() => void calls.setCamera(!camera)} />
      {!small && canShareScreen() && <Control icon="screen" on={sharing} label={sharing ? "Stop sharing your screen" : "Share your screen"} onClick={() => void calls.setScreen(!sharing)} />}
      {!small && call.group && <Control icon="hand" on={hand} label={hand ? "Lower hand" : "Raise hand"} onClick={raise} />}
      <button type="button" class="round danger" aria-label={call.group ? "Leave call" : "Hang up"} title={call.group ? "Leave call" : "Hang up"} onClick={() => calls.hangUp()}>
        <Icon name="hangUp" />
      </button>
    </div>
  );
}

interface ControlProps {
  readonly icon: IconName;
  /** Something that is usually on is off. */
  readonly struck?: boolean;
  /** Something that is usually off is on. */
  readonly on?: boolean;
  readonly label: string;
  readonly onClick: () => void;
}

function Control({ icon, struck = false, on = false, label, onClick }: ControlProps): JSX.Element {
  return (
    <button type="button" class={`round plain ${struck ? "struck" : ""} ${on ? "on" : ""}`} aria-label={label} title={label} onClick={onClick}>
      <Icon name={icon} struck={struck} />
    </button>
  );
}
