import type { JSX } from "preact";
import { useState } from "preact/hooks";
import type { Conversation, Failure, ParleyClient } from "@parley/client";
import { isBlank, permissionsOf } from "@parley/client";
import { ConfirmDialog } from "./confirm-dialog";
import { lengthLine } from "./format";
import { Members } from "./group-members";
import { PicturePicker } from "./group-picture";
import { useEscape } from "./hooks";
import { Icon } from "./icons";
import { maxLength } from "./max-length";
import { InviteLink } from "./invite-link";
import type { OpenDialog } from "./message-dialogs";
import type { Viewer } from "./conversation-text";
import { ProblemLine } from "./problem-line";
import { readIds } from "./user-ids";
import { fieldDirection, made, type Problem, t } from "./text";

interface GroupPanelProps {
  readonly client: ParleyClient;
  readonly conversation: Conversation;
  readonly viewer: Viewer;
  readonly nowMs: number;
  readonly onDialog: (dialog: OpenDialog) => void;
  readonly onClose: () => void;
}

/** Runs a request; its failure is shown as a notice. */
type Run = (request: Promise<unknown>) => Promise<void>;

/** A group's members, picture and settings. */
export function GroupPanel({ client, conversation, viewer, nowMs, onDialog, onClose }: GroupPanelProps): JSX.Element {
  const [leaving, setLeaving] = useState(false);
  const permissions = permissionsOf(conversation, client.userId);
  const run: Run = (request) => request.then(() => undefined, (failure: Failure) => client.showNotice(failure));
  useEscape(leaving ? undefined : onClose);
  return (
    <aside class="panel" aria-label={t("group.details")}>
      <header class="panel-header">
        <h2 class="grow">{t("group.details")}</h2>
        <button type="button" class="icon-button" aria-label={t("group.close")} title={t("close.esc")} onClick={onClose}>
          <Icon name="close" />
        </button>
      </header>
      <div class="panel-body">
        <Title client={client} conversation={conversation} may={permissions.rename} run={run} />
        <h3>{t("members.count", { count: conversation.members.length })}</h3>
        <Members {...{ client, conversation, viewer, nowMs, permissions, onDialog }} />
        {permissions.add && <AddPeople client={client} conversationId={conversation.id} />}
        {permissions.invite && <InviteLink client={client} conversationId={conversation.id} run={run} />}
        <GroupSettings {...{ client, conversation, run }} may={permissions.rename} onDialog={onDialog} />
        <button type="button" class="panel-action danger" onClick={() => setLeaving(true)}>
          <Icon name="leave" />
          {t("group.leave")}
        </button>
      </div>
      {leaving && (
        <ConfirmDialog
          title={t("group.leave.ask", { title: conversation.title })}
          body={t("group.leave.hint")}
          verb={t("leave")}
          danger
          act={() => client.groups.leave(conversation.id)}
          onClose={() => setLeaving(false)}
        />
      )}
    </aside>
  );
}

/** One function for all drawings, so that it is called once. */
const focus = (field: HTMLInputElement | null): void => field?.focus();

interface GroupSettingsProps {
  readonly client: ParleyClient;
  readonly conversation: Conversation;
  readonly may: boolean;
  readonly run: Run;
  readonly onDialog: (dialog: OpenDialog) => void;
}

/** What holds for everyone in the group. */
function GroupSettings({ client, conversation, may, run, onDialog }: GroupSettingsProps): JSX.Element {
  const { id, historyOpen, adminsAdd, vanishAfterS } = conversation;
  return (
    <div class="panel-form">
      <h3>{t("settings")}</h3>
      <label class="switch-row">
        <span class="grow">
          {t("group.history")}
          <span class="quiet small-print">{historyOpen ? t("group.history.on") : t("group.history.off")}</span>
        </span>
        <input type="checkbox" role="switch" checked={historyOpen} disabled={!may} onChange={(event) => void run(client.groups.setHistoryOpen(id, event.currentTarget.checked))} />
      </label>
      <label class="switch-row">
        <span class="grow">
          {t("group.admins")}
          <span class="quiet small-print">{adminsAdd ? t("group.admins.on") : t("group.admins.off")}</span>
        </span>
        <input type="checkbox" role="switch" checked={adminsAdd} disabled={!may} onChange={(event) => void run(client.groups.setAdminsAdd(id, event.currentTarget.checked))} />
      </label>
      <button type="button" class="panel-action" onClick={() => onDialog({ kind: "vanishing" })}>
        <Icon name="clock" />
        <span class="grow">{t("vanishing")}</span>
        <span class="quiet">{vanishAfterS > 0 ? t("vanish.after", { length: made(lengthLine(vanishAfterS)) }) : t("off")}</span>
      </button>
      <button type="button" class="panel-action danger" onClick={() => onDialog({ kind: "report", seqs: [] })}>
        <Icon name="flag" />
        {t("group.report")}
      </button>
    </div>
  );
}

interface TitleProps {
  readonly client: ParleyClient;
  readonly conversation: Conversation;
  readonly may: boolean;
  readonly run: Run;
}

function Title({ client, conversation, may, run }: TitleProps): JSX.Element {
  const [title, setTitle] = useState<string | undefined>(undefined);
  const save = (event: Event): void => {
    event.preventDefault();
    if (title && !isBlank(title) && title.trim() !== conversation.title) void run(client.groups.rename(conversation.id, title.trim()));
    setTitle(undefined);
  };
  return (
    <div class="panel-title">
      <PicturePicker client={client} conversation={conversation} may={may} />
      {title === undefined ? (
        <div class="panel-name">
          <strong>
            <bdi>{conversation.title}</bdi>
          </strong>
          {may && (
            <button type="button" class="icon-button" aria-label={t("group.rename")} title={t("rename")} onClick={() => setTitle(conversation.title)}>
              <Icon name="edit" />
            </button>
          )}
        </div>
      ) : (
        <form class="field-row" onSubmit={save}>
          <input aria-label={t("group.name")} {...fieldDirection(title)} value={title} {...maxLength(client.limits.titleChars)} autocomplete="off" ref={focus} onInput={(event) => setTitle(event.currentTarget.value)} />
          <button type="submit" class="primary" disabled={isBlank(title)}>
            {t("save")}
          </button>
        </form>
      )}
    </div>
  );
}

function AddPeople({ client, conversationId }: { client: ParleyClient; conversationId: string }): JSX.Element {
  const [ids, setIds] = useState("");
  const [problem, setProblem] = useState<Problem>(undefined);
  const add = async (event: Event): Promise<void> => {
    event.preventDefault();
    try {
      await client.groups.add(conversationId, readIds(ids));
      setIds("");
      setProblem(undefined);
    } catch (error) {
      setProblem(error as Failure);
    }
  };
  return (
    <form class="panel-form" onSubmit={(event) => void add(event)}>
      <label for="add-people">{t("group.add")}</label>
      <div class="field-row">
        <input
          id="add-people"
          value={ids}
          {...fieldDirection(ids)}
          placeholder={t("new.ids")}
          autocomplete="off"
          autocapitalize="none"
          spellcheck={false}
          onInput={(event) => setIds(event.currentTarget.value)}
        />
        <button type="submit" class="primary" disabled={readIds(ids).length === 0}>
          {t("add")}
        </button>
      </div>
      <ProblemLine problem={problem} />
    </form>
  );
}
