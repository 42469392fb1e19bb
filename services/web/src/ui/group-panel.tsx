import type { JSX } from "preact";
import { useState } from "preact/hooks";
import type { Conversation, Failure, Member, ParleyClient, Rights, Role } from "../parley";
import { rightsOf } from "../parley";
import { Avatar } from "./avatar";
import { Question } from "./dialog";
import { presenceLine } from "./format";
import { useEscape } from "./hooks";
import { Icon } from "./icons";
import { InviteLink } from "./invite-link";
import { Menu } from "./menu";
import { MenuItem } from "./message-menu";
import type { Reader } from "./people";
import { readIds } from "./user-ids";

interface GroupPanelProps {
  readonly client: ParleyClient;
  readonly conversation: Conversation;
  readonly reader: Reader;
  readonly nowMs: number;
  readonly onClose: () => void;
}

/** Runs a request; what it fails with is told as a notice. */
type Run = (request: Promise<unknown>) => Promise<void>;

/** Who is in the group, and what one may do about it. */
export function GroupPanel({ client, conversation, reader, nowMs, onClose }: GroupPanelProps): JSX.Element {
  const [leaving, setLeaving] = useState(false);
  const rights = rightsOf(conversation, client.userId);
  const run: Run = (request) => request.then(() => undefined, (failure: Failure) => client.tell(failure.line));
  useEscape(leaving ? undefined : onClose);
  return (
    <aside class="panel" aria-label="Group details">
      <header class="panel-header">
        <h2 class="grow">Group details</h2>
        <button type="button" class="icon-button" aria-label="Close group details" title="Close (Esc)" onClick={onClose}>
          <Icon name="close" />
        </button>
      </header>
      <div class="panel-body">
        <Title client={client} conversation={conversation} may={rights.rename} run={run} />
        <h3>{conversation.members.length === 1 ? "1 member" : `${conversation.members.length} members`}</h3>
        <ul class="members">
          {inOrder(conversation.members).map((member) => (
            <MemberRow key={member.userId} member={member} rights={rights} {...{ client, conversation, reader, nowMs, run }} />
          ))}
        </ul>
        <AddPeople client={client} conversationId={conversation.id} />
        {rights.invite && <InviteLink client={client} conversationId={conversation.id} run={run} />}
        <button type="button" class="panel-action danger" onClick={() => setLeaving(true)}>
          <Icon name="leave" />
          Leave group
        </button>
      </div>
      {leaving && (
        <Question
          title={`Leave “${conversation.title}”?`}
          body="You will no longer see its messages. Someone who is in it has to add you again."
          verb="Leave"
          danger
          act={() => client.groups.leave(conversation.id)}
          onClose={() => setLeaving(false)}
        />
      )}
    </aside>
  );
}

const RANK: Record<Role, number> = { owner: 0, admin: 1, member: 2 };

function inOrder(members: readonly Member[]): Member[] {
  return [...members].sort((a, b) => RANK[a.role] - RANK[b.role] || a.userId.localeCompare(b.userId));
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
    if (title?.trim() && title.trim() !== conversation.title) void run(client.groups.rename(conversation.id, title.trim()));
    setTitle(undefined);
  };
  return (
    <div class="panel-title">
      <Avatar userId={conversation.id} name={conversation.title} size="large" />
      {title === undefined ? (
        <div class="panel-name">
          <strong>{conversation.title}</strong>
          {may && (
            <button type="button" class="icon-button" aria-label="Rename group" title="Rename" onClick={() => setTitle(conversation.title)}>
              <Icon name="edit" />
            </button>
          )}
        </div>
      ) : (
        <form class="field-row" onSubmit={save}>
          <input aria-label="Group name" value={title} maxLength={100} autocomplete="off" ref={(field) => field?.focus()} onInput={(event) => setTitle(event.currentTarget.value)} />
          <button type="submit" class="primary" disabled={!title.trim()}>
            Save
          </button>
        </form>
      )}
    </div>
  );
}

interface MemberRowProps {
  readonly client: ParleyClient;
  readonly conversation: Conversation;
  readonly reader: Reader;
  readonly nowMs: number;
  readonly member: Member;
  readonly rights: Rights;
  readonly run: Run;
}

function MemberRow({ client, conversation, reader, nowMs, member, rights, run }: MemberRowProps): JSX.Element {
  const { userId, role } = member;
  const [anchor, setAnchor] = useState<HTMLElement | undefined>(undefined);
  const self = userId === client.userId;
  const name = reader.nameOf(userId);
  const presence = client.presence.of(userId);
  const choices = self ? [] : choicesFor(member, rights);
  const choose = (act: Choice["act"]) => () => {
    setAnchor(undefined);
    void run(act(client, conversation.id, userId));
  };
  return (
    <li class="member">
      <Avatar userId={userId} name={name} online={self || presence?.online} />
      <span class="grow">
        <span class="member-name">
          {name}
          {self && " (you)"}
        </span>
        <span class="member-presence quiet">{self ? "Online" : presenceLine(presence, nowMs)}</span>
      </span>
      {role !== "member" && <span class="role">{role === "owner" ? "Owner" : "Admin"}</span>}
      {choices.length > 0 && (
        <button type="button" class="icon-button" aria-label={`Actions for ${name}`} title="More" aria-haspopup="menu" onClick={(event) => setAnchor(event.currentTarget)}>
          <Icon name="more" />
        </button>
      )}
      {anchor && (
        <Menu anchor={anchor} label={`Actions for ${name}`} onClose={() => setAnchor(undefined)}>
          {choices.map(({ label, danger, act }) => (
            <MenuItem key={label} label={label} danger={danger} onClick={choose(act)} />
          ))}
        </Menu>
      )}
    </li>
  );
}

interface Choice {
  readonly label: string;
  readonly danger: boolean;
  readonly act: (client: ParleyClient, conversationId: string, userId: string) => Promise<void>;
}

function choicesFor({ userId, role }: Member, rights: Rights): Choice[] {
  const give = (label: string, next: Role): Choice => ({ label, danger: false, act: (client, id, user) => client.groups.setRole(id, user, next) });
  const roles = role === "member" ? [give("Make admin", "admin")] : [give("Take admin role away", "member")];
  const removal: Choice = { label: "Remove from group", danger: true, act: (client, id, user) => client.groups.remove(id, user) };
  return [...(rights.giveRoles ? [...roles, give("Make owner", "owner")] : []), ...(rights.mayRemove(userId) ? [removal] : [])];
}

function AddPeople({ client, conversationId }: { client: ParleyClient; conversationId: string }): JSX.Element {
  const [ids, setIds] = useState("");
  const [problem, setProblem] = useState("");
  const add = async (event: Event): Promise<void> => {
    event.preventDefault();
    try {
      await client.groups.add(conversationId, readIds(ids));
      setIds("");
      setProblem("");
    } catch (error) {
      setProblem((error as Failure).line);
    }
  };
  return (
    <form class="panel-form" onSubmit={(event) => void add(event)}>
      <label for="add-people">Add people</label>
      <div class="field-row">
        <input
          id="add-people"
          value={ids}
          placeholder="User ids"
          autocomplete="off"
          autocapitalize="none"
          spellcheck={false}
          onInput={(event) => setIds(event.currentTarget.value)}
        />
        <button type="submit" class="primary" disabled={readIds(ids).length === 0}>
          Add
        </button>
      </div>
      <p class="problem" role="alert">
        {problem}
      </p>
    </form>
  );
}
