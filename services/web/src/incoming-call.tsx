import type { JSX } from "preact";
import type { CallView, Conversation, ParleyClient } from "@parley/client";
import { Avatar } from "./avatar";
import { DevicesButton } from "./devices-entry";
import { useDialogFocus } from "./hooks";
import { Icon } from "./icons";
import { titleOf } from "./conversation-text";
import { t } from "./text";

interface IncomingCallProps {
  readonly client: ParleyClient;
  readonly call: CallView;
  /** The call's, once it is known. */
  readonly conversation: Conversation | undefined;
  readonly nameOf: (userId: string) => string;
}

/** Someone calls; or this device is still in a call whose page was closed. */
export function IncomingCall({ client, call, conversation, nameOf }: IncomingCallProps): JSX.Element {
  const face = call.group && conversation ? titleOf(conversation, { selfId: client.userId, nameOf }) : undefined;
  const caller = call.call?.callerId ?? "";
  const name = face?.name ?? nameOf(call.peerUserId || caller);
  const dialog = useDialogFocus();
  const dropped = call.phase === "dropped";
  const incoming = t(call.video ? "call.incoming.video.from" : "call.incoming.voice.from", { name });
  return (
    <div class="scrim">
      <div class="incoming" ref={dialog} tabIndex={-1} role="alertdialog" aria-modal="true" aria-label={dropped ? t("call.with", { name }) : incoming}>
        <span class={dropped ? "" : "pulse"}>
          <Avatar userId={face?.id ?? (call.peerUserId || caller)} name={name} size="large" picture={face?.picture} />
        </span>
        <h2>
          <bdi>{name}</bdi>
        </h2>
        <p class="quiet">{dropped ? t("call.still") : eventLine(call, nameOf(caller))}</p>
        <div class="incoming-buttons">
          <Choice label={dropped ? t("call.hang.up") : t("call.decline")} tone="danger" icon="hangUp" onClick={() => (dropped ? client.calls.hangUp() : client.calls.decline())} />
          <Choice label={dropped ? t("call.return") : call.video ? t("call.accept.voice") : t("call.accept")} tone="go" icon="phone" onClick={() => client.calls.accept(false)} />
          {call.video && <Choice label={dropped ? t("call.return.video") : t("call.accept")} tone="go" icon="video" onClick={() => client.calls.accept(true)} />}
        </div>
        <DevicesButton client={client} />
      </div>
    </div>
  );
}

/** What happens: a group learns who began. */
function eventLine({ video, group }: CallView, name: string): string {
  if (group) return t(video ? "call.started.video" : "call.started.voice", { name });
  return video ? t("call.incoming.video") : t("call.incoming.voice");
}

interface ChoiceProps {
  readonly label: string;
  readonly tone: "go" | "danger";
  readonly icon: "phone" | "video" | "hangUp";
  readonly onClick: () => void;
}

function Choice({ label, tone, icon, onClick }: ChoiceProps): JSX.Element {
  return (
    <button type="button" class="choice" onClick={onClick}>
      <span class={`round ${tone}`}>
        <Icon name={icon} />
      </span>
      {label}
    </button>
  );
}
