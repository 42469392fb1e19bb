import type { JSX } from "preact";
import type { Conversation, Message, ParleyClient } from "@parley/client";
import { reachedBy } from "@parley/client";
import { Avatar } from "./avatar";
import { Modal } from "./modal";
import type { Reader } from "./people";

interface ReadersProps {
  readonly client: ParleyClient;
  readonly conversation: Conversation;
  readonly message: Message;
  readonly reader: Reader;
  readonly onClose: () => void;
}

/** Whom a message of one's own has reached, in a group. Who sends no receipts is in neither list. */
export function Readers({ conversation, message, reader, onClose }: ReadersProps): JSX.Element {
  const { read, delivered } = reachedBy(conversation, message.seq, reader.selfId);
  return (
    <Modal title="Message info" onClose={onClose}>
      <People title="Read by" userIds={read} reader={reader} none="Nobody yet" />
      <People title="Delivered to" userIds={delivered} reader={reader} none={read.length > 0 ? "Nobody else" : "Nobody yet"} />
      <p class="quiet small-print">People who send no receipts are not shown.</p>
    </Modal>
  );
}

interface PeopleProps {
  readonly title: string;
  readonly userIds: readonly string[];
  readonly reader: Reader;
  readonly none: string;
}

function People({ title, userIds, reader, none }: PeopleProps): JSX.Element {
  return (
    <section class="people">
      <h3>{title}</h3>
      {userIds.length === 0 && <p class="quiet">{none}</p>}
      <ul>
        {userIds.map((userId) => (
          <li key={userId}>
            <Avatar userId={userId} name={reader.nameOf(userId)} size="tiny" />
            {reader.nameOf(userId)}
          </li>
        ))}
      </ul>
    </section>
  );
}
