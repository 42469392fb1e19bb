import type { JSX } from "preact";
import { useEffect, useState } from "preact/hooks";
import type { AttendanceAnswer, Conversation, Failure, ParleyClient, ScheduledCall } from "@parley/client";
import { calendarOf, joinAddress, permissionsOf } from "@parley/client";
import { copyText } from "./clipboard";
import { ConfirmDialog } from "./confirm-dialog";
import { dateTime, lengthLine } from "./format";
import { Icon } from "./icons";
import { Menu } from "./menu";
import type { OpenDialog } from "./message-dialogs";
import { MenuItem } from "./message-menu";
import { addressOf } from "./window-of-page";
import { made, t } from "./text";

interface ScheduledCardsProps {
  readonly client: ParleyClient;
  readonly conversation: Conversation;
  /** The other one of a direct conversation; undefined in a group. */
  readonly peer: string | undefined;
  readonly onDialog: (dialog: OpenDialog) => void;
}

const ANSWERS: readonly AttendanceAnswer[] = ["yes", "maybe", "no"];

/** The scheduled calls of a conversation, each with what one can do about it. */
export function ScheduledCards(props: ScheduledCardsProps): JSX.Element | null {
  const { client, conversation } = props;
  const { id } = conversation;
  useEffect(() => {
    // Without an answer, what events tell is shown; a block ends all of it.
    if (client.stream.kind === "live") void client.scheduledCalls.refresh(id).catch(() => undefined);
  }, [id, client.stream.kind]);
  const calls = client.scheduledCalls.of(id);
  if (calls.length === 0) return null;
  return (
    <ul class="scheduled" aria-label={t("schedule.list")}>
      {calls.map((call) => (
        <Card key={call.id} call={call} {...props} />
      ))}
    </ul>
  );
}

function Card({ client, conversation, peer, call, onDialog }: ScheduledCardsProps & { call: ScheduledCall }): JSX.Element {
  const [anchor, setAnchor] = useState<HTMLElement | undefined>(undefined);
  const [asked, setAsked] = useState(false);
  const [address, setAddress] = useState("");
  const copyLink = async (): Promise<void> => {
    const made = address || joinAddress(location.origin, (await client.joinLinks.create(call.id)).secret);
    setAddress(made);
    client.showNotice((await copyText(made)) ? t("call.link.copied") : t("invite.copy.refused"));
  };
  const tell = (request: Promise<unknown>): void => void request.catch((failure: Failure) => client.showNotice(failure));
  const choose = (act: () => void) => () => {
    setAnchor(undefined);
    act();
  };
  const planned = call.state === "planned";
  const leads = planned && (call.makerUserId === client.userId || (call.group && permissionsOf(conversation, client.userId).moderateCalls));
  const coming = Object.values(call.answers).filter((answer) => answer === "yes").length;
  const open = call.group ? t("schedule.now.group") : t("schedule.now");
  return (
    <li class="scheduled-card" data-testid="scheduled">
      <Icon name={call.video ? "video" : "phone"} />
      <div class="grow">
        <strong>
          <bdi>{call.title}</bdi>
        </strong>
        <p class="quiet">{planned ? t("schedule.at", { time: made(dateTime(call.startTimeMs)), length: made(lengthLine(call.lengthS)) }) : open}</p>
        {coming > 0 && <p class="quiet">{t("schedule.coming", { count: coming })}</p>}
      </div>
      {planned && (
        <span class="scheduled-answers" role="group" aria-label={t("schedule.ask")}>
          {ANSWERS.map((answer) => (
            <button key={answer} type="button" class="plain small" aria-pressed={call.answers[client.userId] === answer} onClick={() => tell(client.scheduledCalls.answer(call.id, answer))}>
              {t(`schedule.${answer}`)}
            </button>
          ))}
        </span>
      )}
      {!planned && peer !== undefined && (
        <button type="button" class="primary go-fill" disabled={client.calls.busy} onClick={() => client.calls.dial(conversation.id, peer, call.video)}>
          {t("schedule.call")}
        </button>
      )}
      {planned && (
        <button type="button" class="icon-button" aria-label={t("schedule.options", { title: call.title })} title={t("more")} aria-haspopup="menu" aria-expanded={anchor !== undefined} onClick={(event) => setAnchor(event.currentTarget)}>
          <Icon name="more" />
        </button>
      )}
      {anchor && (
        <Menu anchor={anchor} label={t("schedule.options", { title: call.title })} onClose={() => setAnchor(undefined)}>
          <MenuItem icon="download" label={t("schedule.calendar")} onClick={choose(() => saveCalendar(call))} />
          {call.group && <MenuItem icon="link" label={t("call.link.copy")} onClick={choose(() => tell(copyLink()))} />}
          {leads && <MenuItem icon="edit" label={t("schedule.change")} onClick={choose(() => onDialog({ kind: "schedule", call }))} />}
          {leads && <MenuItem icon="block" label={t("schedule.cancel")} danger onClick={choose(() => setAsked(true))} />}
        </Menu>
      )}
      {planned && address && <input class="scheduled-link" aria-label={t("call.link")} dir="ltr" readOnly value={address} onFocus={(event) => event.currentTarget.select()} />}
      {asked && (
        <ConfirmDialog title={t("schedule.cancel.ask")} body={t("schedule.cancel.hint")} verb={t("schedule.cancel.verb")} danger act={async () => void (await client.scheduledCalls.cancel(call.id))} onClose={() => setAsked(false)} />
      )}
    </li>
  );
}

/** Hands the browser a file for this user's calendar. */
function saveCalendar(call: ScheduledCall): void {
  const page = addressOf(`${location.origin}/`, call.conversationId);
  const file = URL.createObjectURL(new Blob([calendarOf(call, page)], { type: "text/calendar" }));
  const link = document.createElement("a");
  link.href = file;
  link.download = "call.ics";
  link.click();
  URL.revokeObjectURL(file);
}
