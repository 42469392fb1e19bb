import type { JSX } from "preact";
import type { Call, Conversation, ParleyClient } from "@parley/client";
import { joined } from "@parley/client";
import { Avatar } from "./avatar";
import { Icon } from "./icons";
import { listNames, type Viewer } from "./conversation-text";
import { made, t } from "./text";

interface CallBannerProps {
  readonly client: ParleyClient;
  readonly conversation: Conversation;
  readonly viewer: Viewer;
}

/** Avatars in a banner; the names list the other participants. */
const MAX_AVATARS = 3;

/** The conversation's running call, when this device is not in it: its participants, and buttons to join. */
export function CallBanner({ client, conversation, viewer }: CallBannerProps): JSX.Element | null {
  const { calls } = client;
  const call = calls.runningIn(conversation.id);
  const view = calls.view();
  if (!call || (calls.busy && view.call?.id === call.id)) return null;
  const own = call.participants.find((p) => p.userId === client.userId);
  const elsewhere = own?.state === "joined";
  if (!elsewhere && (!call.group || own?.state === "ringing")) return null;
  const inCall = joined(call).map((p) => p.userId);
  const faces = elsewhere ? [] : inCall.slice(0, MAX_AVATARS);
  return (
    <section class="call-banner" aria-label={t("banner.title")}>
      <span class="faces" aria-hidden="true">
        {faces.map((userId) => (
          <Avatar key={userId} userId={userId} name={viewer.nameOf(userId)} size="tiny" />
        ))}
      </span>
      <p class="grow" role="status">
        <strong>{elsewhere ? t("banner.elsewhere") : call.video ? t("video.call") : t("voice.call")}</strong>
        <span class="call-banner-who" data-testid="in-call">
          {call.locked ? t("banner.locked", { names: made(listNames(inCall, viewer)) }) : listNames(inCall, viewer)}
        </span>
      </p>
      <JoinButtons client={client} call={call} elsewhere={elsewhere} removed={own?.state === "removed"} />
    </section>
  );
}

function JoinButtons({ client, call, elsewhere, removed }: { client: ParleyClient; call: Call; elsewhere: boolean; removed: boolean }): JSX.Element {
  const { calls } = client;
  const enter = (video: boolean) => () => calls.join(call, video);
  if (removed) return <span class="quiet">{t("banner.removed")}</span>;
  const shut = calls.busy || (call.locked && !elsewhere);
  const other = call.video ? t("banner.join.voice") : t("banner.join.video");
  return (
    <>
      {!elsewhere && (
        <button type="button" class="icon-button" aria-label={other} title={other} disabled={shut} onClick={enter(!call.video)}>
          <Icon name={call.video ? "phone" : "video"} />
        </button>
      )}
      <button type="button" class="primary go-fill" disabled={shut} onClick={enter(call.video)}>
        {elsewhere ? t("banner.move") : t("join")}
      </button>
    </>
  );
}
