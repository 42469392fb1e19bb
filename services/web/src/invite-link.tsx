import type { JSX } from "preact";
import { useState } from "preact/hooks";
import type { ParleyClient } from "@parley/client";
import { copyText } from "./clipboard";
import { Icon } from "./icons";
import { t } from "./text";

interface InviteLinkProps {
  readonly client: ParleyClient;
  readonly conversationId: string;
  readonly run: (request: Promise<unknown>) => Promise<void>;
}

/** The address by which others join; a new one makes the older ones invalid. */
export function InviteLink({ client, conversationId, run }: InviteLinkProps): JSX.Element {
  const [address, setAddress] = useState("");
  const create = (): Promise<void> => run(client.groups.createInvite(conversationId).then(({ token }) => setAddress(inviteAddress(token))));
  const copy = async (): Promise<void> =>
    client.showNotice((await copyText(address)) ? t("invite.copied") : t("invite.copy.refused"));
  const revoke = (): Promise<void> =>
    run(
      client.groups.revokeInvites(conversationId).then(() => {
        setAddress("");
        client.showNotice(t("invite.revoked"));
      }),
    );
  return (
    <div class="panel-form">
      <h3>{t("invite.title")}</h3>
      {address ? (
        <div class="field-row">
          <input aria-label={t("invite.title")} dir="ltr" readOnly value={address} onFocus={(event) => event.currentTarget.select()} />
          <button type="button" class="primary" onClick={() => void copy()}>
            {t("copy")}
          </button>
        </div>
      ) : (
        <button type="button" class="panel-action" onClick={() => void create()}>
          <Icon name="link" />
          {t("invite.create")}
        </button>
      )}
      <button type="button" class="plain small" onClick={() => void revoke()}>
        {t("invite.revoke")}
      </button>
    </div>
  );
}

/** Anyone who opens it, and is logged in, is asked whether to join. */
export function inviteAddress(token: string): string {
  return `${location.origin}${location.pathname}?${new URLSearchParams({ invite: token })}`;
}

/** The invite in the page's address, and forgetting it. */
export const invite = {
  read: (): string => new URLSearchParams(location.search).get("invite") ?? "",
  clear(): void {
    const query = new URLSearchParams(location.search);
    query.delete("invite");
    history.replaceState(null, "", `${location.pathname}${query.size > 0 ? `?${query}` : ""}${location.hash}`);
  },
};
