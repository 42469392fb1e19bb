import type { JSX } from "preact";
import { useState } from "preact/hooks";
import type { CallView, Conversation, ParleyClient } from "@parley/client";
import { joined } from "@parley/client";
import { Avatar } from "./avatar";
import { CallControls } from "./call-controls";
import { isLost, statusLine } from "./call-status";
import { CallNotes } from "./call-notes";
import { CallParticipants } from "./call-participants";
import { DevicesWindow } from "./devices-entry";
import { GroupStage } from "./group-stage";
import { useDialogFocus, useEscape, useNow } from "./hooks";
import { Icon } from "./icons";
import { titleOf } from "./conversation-text";
import { TrackAudio, TrackVideo } from "./track-view";
import { numberLine, t } from "./text";

interface CallWindowProps {
  readonly client: ParleyClient;
  readonly call: CallView;
  /** The call's, once it is known. */
  readonly conversation: Conversation | undefined;
  readonly nameOf: (userId: string) => string;
  /** Beside the conversation instead of over it. */
  readonly small: boolean;
  readonly setSmall: (small: boolean) => void;
}

/** The running call: large, or small beside the conversation. */
export function CallWindow(props: CallWindowProps): JSX.Element {
  const { client, call, conversation, nameOf, small, setSmall } = props;
  const dialog = useDialogFocus();
  const [people, setPeople] = useState(false);
  const [devices, setDevices] = useState(false);
  const face = conversation && titleOf(conversation, { selfId: client.userId, nameOf });
  const name = call.group ? (face?.name ?? t("call.group")) : nameOf(call.peerUserId);
  useEscape(small ? undefined : () => (people ? setPeople(false) : setSmall(true)));
  const ended = call.phase === "ended";
  const listed = people && !small && !ended ? call.call : undefined;
  const crowd = call.group && !ended && call.call !== undefined && joined(call.call).length > 1;
  return (
    <div class={`call ${small ? "call-small" : "call-full"} ${crowd ? "call-crowd" : ""} ${listed ? "has-people" : ""}`} ref={dialog} tabIndex={-1} role="dialog" aria-modal={!small} aria-label={t("call.with", { name })}>
      {crowd ? <GroupStage {...{ client, call, nameOf, small }} /> : <PairStage call={call} name={name} id={face?.id ?? call.peerUserId} picture={face?.picture} />}
      {call.remotes.flatMap(({ audio, screenSound }) => [audio, screenSound]).map((track) => track && <TrackAudio key={track.id} track={track} speaker={client.calls.deviceChoice.speaker} />)}
      <Header {...props} name={name} people={people} setPeople={setPeople} onDevices={() => setDevices(true)} />
      {isLost(call) && (
        <p class="lost" aria-hidden="true">
          <span class="spinner" />
          {t("reconnecting")}
        </p>
      )}
      {!call.group && <PeerState call={call} name={name} />}
      {!crowd && call.camera && !ended && <TrackVideo track={call.camera} class="local-video" label={t("call.camera.own")} />}
      <CallNotes client={client} call={call} nameOf={nameOf} />
      {!ended && <CallControls client={client} call={call} small={small} />}
      {listed && conversation && <CallParticipants {...{ client, nameOf, conversation }} view={call} call={listed} onClose={() => setPeople(false)} />}
      {devices && <DevicesWindow client={client} onClose={() => setDevices(false)} />}
    </div>
  );
}

interface HeaderProps extends CallWindowProps {
  readonly name: string;
  readonly people: boolean;
  readonly setPeople: (people: boolean) => void;
  readonly onDevices: () => void;
}

function Header({ call, conversation, small, setSmall, name, people, setPeople, onDevices }: HeaderProps): JSX.Element {
  const nowMs = useNow(500);
  const count = call.call ? joined(call.call).length : 0;
  const waiting = call.call?.lobby.length ?? 0;
  // Guests know nobody but those whom they see.
  const lists = call.group && conversation && call.phase !== "ended";
  const list = (): void => {
    setSmall(false);
    setPeople(true);
  };
  return (
    <div class="call-header">
      <div class="grow">
        <h2>
          <bdi>{name}</bdi>
          {call.call?.locked && (
            <span class="sign" role="img" aria-label={t("call.locked")} title={t("call.locked.hint")}>
              <Icon name="lock" />
            </span>
          )}
          {(call.encryption === "on" || call.encryption === "unreadable") && (
            <span class="sign" role="img" aria-label={t("call.encrypted")} title={t("call.encrypted")}>
              <Icon name="shield" />
            </span>
          )}
        </h2>
        <p role="status" data-testid="call-status">
          {statusLine(call, name, nowMs)}
        </p>
      </div>
      {lists && waiting > 0 && (small || !people) && (
        <button type="button" class="primary" onClick={list}>
          {t("call.lobby.count", { count: waiting })}
        </button>
      )}
      {lists && !small && (
        <button type="button" class="icon-button counted" aria-label={t("call.people.count", { count })} title={t("call.people")} aria-expanded={people} onClick={() => setPeople(!people)}>
          <Icon name="people" />
          <span aria-hidden="true">{numberLine(count)}</span>
        </button>
      )}
      {!small && call.phase !== "ended" && (
        <button type="button" class="icon-button" aria-label={t("devices")} title={t("devices")} aria-haspopup="dialog" onClick={onDevices}>
          <Icon name="sliders" />
        </button>
      )}
      <button type="button" class="icon-button" aria-label={small ? t("call.larger") : t("call.smaller")} title={small ? t("call.larger.short") : t("call.smaller.short")} onClick={() => setSmall(!small)}>
        <Icon name={small ? "grow" : "shrink"} />
      </button>
    </div>
  );
}

/** The other one's picture or screen; or a face, while there is none. */
function PairStage({ call, name, id, picture }: { call: CallView; name: string; id: string; picture: string | undefined }): JSX.Element {
  const { remote } = call;
  const waiting = call.phase === "calling" || call.phase === "starting";
  const live = call.phase === "active" && remote !== undefined;
  const seen = live && !remote.videoMuted ? remote.video : undefined;
  return (
    <div class="stage">
      {live && remote.screen ? (
        <TrackVideo track={remote.screen} class="remote-video screen" label={t("call.screen.of", { name })} />
      ) : seen ? (
        <TrackVideo track={seen} class="remote-video" label={t("call.video.of", { name })} />
      ) : (
        <div class="absent">
          <span class={waiting ? "pulse" : ""}>
            <Avatar userId={id} name={name} size="large" picture={picture} />
          </span>
        </div>
      )}
    </div>
  );
}

/** What the other side has switched off. */
function PeerState({ call, name }: { call: CallView; name: string }): JSX.Element | null {
  const { remote } = call;
  if (call.phase !== "active" || !remote) return null;
  const dark = call.video && remote.videoMuted && !remote.screen;
  const line = remote.audioMuted ? t(dark ? "call.peer.muted.dark" : "call.peer.muted", { name }) : dark && t("call.peer.dark", { name });
  if (!line) return null;
  return (
    <p class="peer-state" data-testid="peer-state">
      {remote.audioMuted && <Icon name="mic" struck />}
      {line}
    </p>
  );
}
