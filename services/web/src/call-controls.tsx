import type { JSX } from "preact";
import type { CallView, Failure, ParleyClient } from "@parley/client";
import { canShareScreen } from "@parley/client";
import type { IconName } from "./icons";
import { Icon } from "./icons";
import { t } from "./text";

/** What one does in a call, at its lower edge. */
export function CallControls({ client, call, small }: { client: ParleyClient; call: CallView; small: boolean }): JSX.Element {
  const { calls } = client;
  const camera = call.camera !== undefined;
  const sharing = call.screen !== undefined;
  const hand = call.call?.participants.some((p) => p.userId === client.userId && p.handRaiseTimeMs !== undefined) ?? false;
  const raise = () => void calls.actions.setHand(!hand).catch((failure: Failure) => client.showNotice(failure));
  const leave = call.group ? t("call.leave") : t("call.hang.up");
  return (
    <div class="controls" role="toolbar" aria-label={t("call")}>
      <Control icon="mic" struck={call.muted} label={call.muted ? t("call.unmute") : t("call.mute")} onClick={() => void calls.setMuted(!call.muted)} />
      <Control icon="video" struck={!camera} label={camera ? t("call.camera.off") : t("call.camera.on")} onClick={() => void calls.setCamera(!camera)} />
      {!small && canShareScreen() && <Control icon="screen" on={sharing} label={sharing ? t("call.screen.off") : t("call.screen.on")} onClick={() => void calls.setScreen(!sharing)} />}
      {!small && call.group && <Control icon="hand" on={hand} label={hand ? t("call.hand.down") : t("call.hand.up")} onClick={raise} />}
      <button type="button" class="round danger" aria-label={leave} title={leave} onClick={() => calls.hangUp()}>
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
