import type { JSX } from "preact";
import { useEffect, useState } from "preact/hooks";
import type { Call, Failure, LobbyGuest, ParleyClient } from "@parley/client";
import { joinAddress } from "@parley/client";
import { Avatar } from "./avatar";
import { copyText } from "./clipboard";
import { Icon } from "./icons";
import { t } from "./text";

interface CallLobbyProps {
  readonly client: ParleyClient;
  readonly call: Call;
  /** Lets in whoever waits; others let in who came by a link of theirs. */
  readonly leads: boolean;
  readonly nameOf: (userId: string) => string;
}

/** Who opened a link to the call and waits to be let in. */
export function CallLobby({ client, call, leads, nameOf }: CallLobbyProps): JSX.Element | null {
  const waits = call.lobby.length > 0;
  useEffect(() => {
    // Which links are this user's own is not known after a reload.
    if (waits && !leads) void client.joinLinks.list(call.id).catch(() => undefined);
  }, [waits, leads, call.id]);
  if (!waits) return null;
  const decide = (request: Promise<void>): void => void request.catch((failure: Failure) => client.showNotice(failure));
  const row = (guest: LobbyGuest) => {
    const name = nameOf(guest.userId);
    return (
      <li key={guest.userId} class="call-person">
        <Avatar userId={guest.userId} name={name} />
        <span class="grow call-person-name">
          <bdi>{name}</bdi>
        </span>
        {(leads || client.joinLinks.decides(guest.linkId)) && (
          <>
            <button type="button" class="icon-button" aria-label={t("call.lobby.refuse", { name })} title={t("call.lobby.refuse.short")} onClick={() => decide(client.joinLinks.refuse(call.id, guest.userId))}>
              <Icon name="close" />
            </button>
            <button type="button" class="primary" aria-label={t("call.lobby.admit", { name })} onClick={() => decide(client.joinLinks.admit(call.id, guest.userId))}>
              {t("call.lobby.admit.short")}
            </button>
          </>
        )}
      </li>
    );
  };
  return (
    <>
      <h4>{t("call.lobby")}</h4>
      <ul aria-label={t("call.lobby")}>{call.lobby.map(row)}</ul>
    </>
  );
}

/** Makes an address for people outside of the group, and copies it. */
export function CallLink({ client, callId }: { client: ParleyClient; callId: string }): JSX.Element {
  const [address, setAddress] = useState("");
  const copy = async (): Promise<void> => {
    const made = address || joinAddress(location.origin, (await client.joinLinks.create(callId)).secret);
    setAddress(made);
    client.showNotice((await copyText(made)) ? t("call.link.copied") : t("invite.copy.refused"));
  };
  return (
    <>
      <button type="button" class="wide-button" onClick={() => void copy().catch((failure: Failure) => client.showNotice(failure))}>
        <Icon name="link" />
        {t("call.link.copy")}
      </button>
      {address && <input class="call-link" aria-label={t("call.link")} dir="ltr" readOnly value={address} onFocus={(event) => event.currentTarget.select()} />}
    </>
  );
}
