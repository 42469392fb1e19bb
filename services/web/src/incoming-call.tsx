import type { JSX } from "preact";
import type { CallView, Conversation, ParleyClient } from "@parley/client";
import { Avatar } from "./avatar";
import { useDialogFocus } from "./hooks";
import { Icon } from "./icons";
import { titleOf } from "./conversation-text";

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
  const kind = call.video ? "video call" : "voice call";
  return (
    <div class="scrim">
      <div class="incoming" ref={dialog} tabIndex={-1} role="alertdialog" aria-modal="true" aria-label={dropped ? `Call with ${name}` : `Incoming ${kind} from ${name}`}>
        <span class={dropped ? "" : "pulse"}>
          <Avatar userId={face?.id ?? (call.peerUserId || caller)} name={name} size="large" picture={face?.picture ?? ""} />
        </span>
        <h2>{name}</h2>
        <p class="quiet">{dropped ? "You are still in this call" : call.group ? `${nameOf(caller)} started a ${kind}` : `Incoming ${kind}…`}</p>
        <div class="incoming-buttons">
          <Choice label={dropped ? "Hang up" : "Decline"} tone="danger" icon="hangUp" onClick={() => (dropped ? client.calls.hangUp() : client.calls.decline())} />
          <Choice label={dropped ? "Return" : call.video ? "Voice only" : "Accept"} tone="go" icon="phone" onClick={() => client.calls.accept(false)} />
          {call.video && <Choice label={dropped ? "With video" : "Accept"} tone="go" icon="video" onClick={() => client.calls.accept(true)} />}
        </div>
      </div>
    </div>
  );
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
