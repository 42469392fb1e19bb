import type { JSX } from "preact";
import { useState } from "preact/hooks";
import type { Conversation, Failure, Member, ParleyClient, Permissions, Role } from "@parley/client";
import { Avatar } from "./avatar";
import { presenceLine } from "./format";
import { Icon } from "./icons";
import { Menu } from "./menu";
import type { OpenDialog } from "./message-dialogs";
import { MenuItem } from "./message-menu";
import type { Viewer } from "./conversation-text";
import { type PlainKey, t } from "./text";

const RANK: Record<Role, number> = { owner: 0, admin: 1, member: 2 };

function inOrder(members: readonly Member[]): Member[] {
  return [...members].sort((a, b) => RANK[a.role] - RANK[b.role] || a.userId.localeCompare(b.userId));
}

interface MembersProps {
  readonly client: ParleyClient;
  readonly conversation: Conversation;
  readonly viewer: Viewer;
  readonly nowMs: number;
  readonly permissions: Permissions;
  readonly onDialog: (dialog: OpenDialog) => void;
}

/** The group's members, with the actions for each. */
export function Members(props: MembersProps): JSX.Element {
  return (
    <ul class="members">
      {inOrder(props.conversation.members).map((member) => (
        <MemberRow key={member.userId} member={member} {...props} />
      ))}
    </ul>
  );
}

interface MemberRowProps extends MembersProps {
  readonly member: Member;
}

function MemberRow({ client, conversation, viewer, nowMs, member, permissions, onDialog }: MemberRowProps): JSX.Element {
  const { userId, role } = member;
  const [anchor, setAnchor] = useState<HTMLElement | undefined>(undefined);
  const self = userId === client.userId;
  const name = viewer.nameOf(userId);
  const presence = client.presence.of(userId);
  const choices = self ? [] : choicesFor(member, permissions);
  const choose = (act: Choice["act"]) => () => {
    setAnchor(undefined);
    void act(client, conversation.id, userId).catch((failure: Failure) => client.showNotice(failure));
  };
  const ask = (dialog: OpenDialog) => () => {
    setAnchor(undefined);
    onDialog(dialog);
  };
  const blocked = client.relations.isBlocked(userId);
  return (
    <li class="member">
      <Avatar userId={userId} name={name} online={self || presence?.online} />
      <span class="grow">
        <span class="member-name">
          {self ? t("name.you", { name }) : <bdi>{name}</bdi>}
        </span>
        <span class="member-presence quiet">{self ? t("online") : presenceLine(presence, nowMs)}</span>
      </span>
      {role !== "member" && <span class="role">{role === "owner" ? t("role.owner") : t("role.admin")}</span>}
      {!self && (
        <button type="button" class="icon-button" aria-label={t("actions.for", { name })} title={t("more")} aria-haspopup="menu" onClick={(event) => setAnchor(event.currentTarget)}>
          <Icon name="more" />
        </button>
      )}
      {anchor && (
        <Menu anchor={anchor} label={t("actions.for", { name })} onClose={() => setAnchor(undefined)}>
          {choices.map(({ label, danger, act }) => (
            <MenuItem key={label} label={t(label)} danger={danger} onClick={choose(act)} />
          ))}
          {blocked && <MenuItem label={t("unblock")} onClick={choose(() => client.relations.unblock(userId))} />}
          {!blocked && <MenuItem label={t("block.open")} danger onClick={ask({ kind: "block", userId })} />}
          <MenuItem label={t("report.open")} danger onClick={ask({ kind: "report", seqs: [], userId })} />
        </Menu>
      )}
    </li>
  );
}

interface Choice {
  readonly label: PlainKey;
  readonly danger: boolean;
  readonly act: (client: ParleyClient, conversationId: string, userId: string) => Promise<void>;
}

function choicesFor({ userId, role }: Member, permissions: Permissions): Choice[] {
  const give = (label: PlainKey, next: Role): Choice => ({ label, danger: false, act: (client, id, user) => client.groups.setRole(id, user, next) });
  const roles = role === "member" ? [give("role.make.admin", "admin")] : [give("role.take.admin", "member")];
  const removal: Choice = { label: "group.remove", danger: true, act: (client, id, user) => client.groups.remove(id, user) };
  return [...(permissions.giveRoles ? [...roles, give("role.make.owner", "owner")] : []), ...(permissions.canRemove(userId) ? [removal] : [])];
}

