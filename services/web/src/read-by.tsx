import type { JSX } from "preact";
import type { Conversation, Message, ParleyClient } from "@parley/client";
import { groupReceipt } from "@parley/client";
import { Avatar } from "./avatar";
import { Modal } from "./modal";
import type { Viewer } from "./conversation-text";
import { t } from "./text";

interface ReadByProps {
  readonly client: ParleyClient;
  readonly conversation: Conversation;
  readonly message: Message;
  readonly viewer: Viewer;
  readonly onClose: () => void;
}

/** Who has received and read one's own message in a group. Members who send no receipts are in neither list. */
export function ReadBy({ conversation, message, viewer, onClose }: ReadByProps): JSX.Element {
  const { read, delivered } = groupReceipt(conversation, message.seq, viewer.selfId);
  return (
    <Modal title={t("readers.title")} onClose={onClose}>
      <People title={t("readers.read")} userIds={read} viewer={viewer} none={t("readers.nobody")} />
      <People title={t("readers.delivered")} userIds={delivered} viewer={viewer} none={read.length > 0 ? t("readers.nobody.else") : t("readers.nobody")} />
      <p class="quiet small-print">{t("readers.hint")}</p>
    </Modal>
  );
}

interface PeopleProps {
  readonly title: string;
  readonly userIds: readonly string[];
  readonly viewer: Viewer;
  readonly none: string;
}

function People({ title, userIds, viewer, none }: PeopleProps): JSX.Element {
  return (
    <section class="people">
      <h3>{title}</h3>
      {userIds.length === 0 && <p class="quiet">{none}</p>}
      <ul>
        {userIds.map((userId) => (
          <li key={userId}>
            <Avatar userId={userId} name={viewer.nameOf(userId)} size="tiny" />
            <bdi>{viewer.nameOf(userId)}</bdi>
          </li>
        ))}
      </ul>
    </section>
  );
}
