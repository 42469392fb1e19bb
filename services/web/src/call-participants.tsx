import type { JSX } from "preact";
import { useState } from "preact/hooks";
import type { Call, CallParticipant, CallView, Conversation, Failure, ParleyClient } from "@parley/client";
import { permissionsOf } from "@parley/client";
import { Avatar } from "./avatar";
import { CallLink, CallLobby } from "./call-lobby";
import { ConfirmDialog } from "./confirm-dialog";
import { Icon } from "./icons";
import { Menu } from "./menu";
import { MenuItem } from "./message-menu";
import { type PlainKey, t } from "./text";

interface CallParticipantsProps {
  readonly client: ParleyClient;
  readonly view: CallView;
  readonly call: Call;
  readonly conversation: Conversation;
  readonly nameOf: (userId: string) => string;
  readonly onClose: () => void;
}

type MuteRequested = { readonly kind: "remove"; readonly userId: string } | { readonly kind: "end" };

/** The participants of a group's call and the members who are not in it; admins moderate it from here. */
export function CallParticipants(props: CallParticipantsProps): JSX.Element {
  const { client, call, conversation, nameOf, onClose } = props;
  const [asked, setAsked] = useState<MuteRequested | undefined>(undefined);
  const leads = permissionsOf(conversation, client.userId).moderateCalls;
  const inCall = inOrder(call.participants.filter((p) => p.state === "joined"));
  const others = call.participants.filter((p) => p.state !== "joined");
  const lock = () => void client.calls.actions.setLocked(!call.locked).catch((failure: Failure) => client.showNotice(failure));
  const row = (person: CallParticipant) => <PersonRow key={person.userId} {...props} person={person} leads={leads} onRemove={(userId) => setAsked({ kind: "remove", userId })} />;
  return (
    <aside class="call-people" aria-label={t("call.people")}>
      <header>
        <h3 class="grow">{t("call.people.title", { count: inCall.length })}</h3>
        <button type="button" class="icon-button" aria-label={t("call.people.close")} title={t("close")} onClick={onClose}>
          <Icon name="close" />
        </button>
      </header>
      <div class="call-people-lists">
        <CallLobby {...{ client, call, leads, nameOf }} />
        <ul>{inCall.map(row)}</ul>
        {others.length > 0 && <h4>{t("call.people.out")}</h4>}
        <ul>{others.map(row)}</ul>
      </div>
      <footer>
        <CallLink client={client} callId={call.id} />
        {leads && (
          <>
            <button type="button" class="wide-button" aria-pressed={call.locked} onClick={lock}>
              <Icon name="lock" />
              {call.locked ? t("call.unlock") : t("call.lock")}
            </button>
            <button type="button" class="wide-button danger" onClick={() => setAsked({ kind: "end" })}>
              <Icon name="hangUp" />
              {t("call.end.all")}
            </button>
          </>
        )}
      </footer>
      {asked && <Confirmation {...props} asked={asked} onDone={() => setAsked(undefined)} />}
    </aside>
  );
}

/** Raised hands first, in the order in which they went up. */
function inOrder(people: readonly CallParticipant[]): CallParticipant[] {
  const rank = (p: CallParticipant): number => p.handRaiseTimeMs ?? Number.POSITIVE_INFINITY;
  return [...people].sort((a, b) => (rank(a) === rank(b) ? 0 : rank(a) - rank(b)));
}

interface PersonRowProps extends CallParticipantsProps {
  readonly person: CallParticipant;
  readonly leads: boolean;
  readonly onRemove: (userId: string) => void;
}

const PARTICIPANT_STATES: Partial<Record<CallParticipant["state"], PlainKey>> = { ringing: "call.person.ringing", left: "call.person.left", removed: "call.person.removed" };

function PersonRow({ client, view, person, nameOf, leads, onRemove }: PersonRowProps): JSX.Element {
  const { userId, state } = person;
  const [anchor, setAnchor] = useState<HTMLElement | undefined>(undefined);
  const self = userId === client.userId;
  const name = nameOf(userId);
  const stateKey = PARTICIPANT_STATES[state];
  const remote = view.remotes.find((r) => r.userId === userId);
  const muted = state === "joined" && (self ? view.muted : remote?.audioMid !== undefined && remote.audioMuted);
  const choose = (act: () => void) => () => {
    setAnchor(undefined);
    act();
  };
  const ask = () => void client.calls.actions.requestMute(userId).catch((failure: Failure) => client.showNotice(failure));
  return (
    <li class="call-person">
      <Avatar userId={userId} name={name} />
      <span class="grow">
        <span class="call-person-name">
          {self ? t("name.you", { name }) : <bdi>{name}</bdi>}
        </span>
        {person.guest && <span class="call-person-state">{t("call.guest")}</span>}
        {stateKey && <span class="call-person-state">{t(stateKey)}</span>}
      </span>
      {person.handRaiseTimeMs !== undefined && (
        <span class="raised" role="img" aria-label={t("call.person.hand")} title={t("call.person.hand")}>
          <Icon name="hand" />
        </span>
      )}
      {muted && (
        <span role="img" aria-label={t("call.person.muted")} title={t("call.person.muted")}>
          <Icon name="mic" struck />
        </span>
      )}
      {leads && !self && state === "joined" && (
        <button type="button" class="icon-button" aria-label={t("actions.for", { name })} title={t("more")} aria-haspopup="menu" aria-expanded={anchor !== undefined} onClick={(event) => setAnchor(event.currentTarget)}>
          <Icon name="more" />
        </button>
      )}
      {anchor && (
        <Menu anchor={anchor} label={t("actions.for", { name })} onClose={() => setAnchor(undefined)}>
          <MenuItem icon="mic" label={t("call.ask.mute")} onClick={choose(ask)} />
          <MenuItem icon="block" label={t("call.remove")} danger onClick={choose(() => onRemove(userId))} />
        </Menu>
      )}
    </li>
  );
}

function Confirmation({ client, asked, nameOf, onDone }: CallParticipantsProps & { asked: MuteRequested; onDone: () => void }): JSX.Element {
  const { actions } = client.calls;
  if (asked.kind === "end") {
    return <ConfirmDialog title={t("call.end.ask")} body={t("call.end.hint")} verb={t("call.end.verb")} danger act={() => actions.endForAll()} onClose={onDone} />;
  }
  const name = nameOf(asked.userId);
  return <ConfirmDialog title={t("call.remove.ask", { name })} body={t("call.remove.hint", { name })} verb={t("remove")} danger act={() => actions.remove(asked.userId)} onClose={onDone} />;
}
