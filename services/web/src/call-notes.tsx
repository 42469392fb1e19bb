import type { ComponentChildren, JSX } from "preact";
import type { CallView, ParleyClient } from "@parley/client";
import { unseenLines } from "./call-status";
import { Icon } from "./icons";
import { shortId } from "./settings-encryption";
import { deviceLine, made, t } from "./text";

interface CallNotesProps {
  readonly client: ParleyClient;
  readonly call: CallView;
  readonly nameOf?: (userId: string) => string;
}

/** What the participant should know during the call, at its upper edge. */
export function CallNotes({ client, call, nameOf = (userId) => userId }: CallNotesProps): JSX.Element | null {
  if (call.phase === "ended") return null;
  return (
    <div class="call-notes">
      {call.deviceProblem && (
        <p class="note warning" role="alert">
          <Icon name="alert" />
          {deviceLine(call.deviceProblem)}
        </p>
      )}
      {call.encryption === "unreadable" && (
        <p class="note warning" role="alert" data-testid="unreadable">
          <Icon name="alert" />
          {t("note.unreadable")}
        </p>
      )}
      <Unencrypted client={client} call={call} nameOf={nameOf} />
      {unseenLines(call.unseen, nameOf).map((line) => (
        <p class="note warning" role="alert" data-testid="unseen" key={line}>
          <Icon name="alert" />
          {line}
        </p>
      ))}
      {call.mutedByAdmin && <MutedByAdmin client={client} />}
      <div role="status">
        {call.weak && (
          <p class="note" data-testid="weak-network">
            <Icon name="signal" />
            {t("note.weak")}
          </p>
        )}
      </div>
      {call.screen && (
        <p class="note">
          <Icon name="screen" />
          {t("note.sharing")}
          <button type="button" onClick={() => void client.calls.setScreen(false)}>
            {t("note.sharing.stop")}
          </button>
        </p>
      )}
    </div>
  );
}

/** Who cannot decrypt, and what this device sends them: nothing, unless the user says so. */
function Unencrypted({ client, call, nameOf = (userId) => userId }: CallNotesProps): JSX.Element | null {
  const { encryption, unable } = call;
  const { ownId, view } = client.encryption;
  if (encryption === "impossible") return call.phase === "active" ? <Warning testId="unencrypted">{t("note.impossible")}</Warning> : null;
  if (encryption !== "blocked" && encryption !== "clear") return null;
  const clear = encryption === "clear";
  const line = (userId: string): string => {
    if (userId === client.userId) return clear ? t("note.clear.own") : t("note.blocked.own", { id: made(shortId(ownId)) });
    return t(clear ? "note.clear" : "note.blocked", { name: nameOf(userId) });
  };
  const lines = unable.map((userId) => <p key={userId}>{line(userId)}</p>);
  if (clear) return <Warning testId="unencrypted"><div>{lines}</div></Warning>;
  return (
    <Warning testId="unencrypted">
      <div>{lines}</div>
      {unable.includes(client.userId) && view.standing === "waiting" && (
        <button type="button" onClick={() => void client.encryption.keys().then((keys) => keys.startAnew())}>
          {t("keys.anew")}
        </button>
      )}
      <button type="button" onClick={() => void client.encryption.keys().then((keys) => keys.allowClear())}>
        {t("note.blocked.allow")}
      </button>
    </Warning>
  );
}

function Warning({ testId, children }: { testId: string; children: ComponentChildren }): JSX.Element {
  return (
    <div class="note warning" role="alert" data-testid={testId}>
      <Icon name="alert" />
      {children}
    </div>
  );
}

/** An admin asked for silence: the device went mute, and the user decides what comes next. */
function MutedByAdmin({ client }: { client: ParleyClient }): JSX.Element {
  const { calls } = client;
  return (
    <div class="note" role="alert">
      <Icon name="mic" struck />
      <span>{t("note.muted")}</span>
      <button type="button" onClick={() => calls.dismissAdminMute()}>
        {t("note.muted.stay")}
      </button>
      <button type="button" onClick={() => void calls.setMuted(false)}>
        {t("note.muted.end")}
      </button>
    </div>
  );
}
