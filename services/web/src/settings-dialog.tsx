import type { JSX } from "preact";
import type { ParleyClient } from "@parley/client";
import { Modal } from "./modal";
import { BlockedPeople } from "./settings-blocked";
import { CallSecret } from "./settings-calls";
import { YourData } from "./settings-data";
import { Privacy } from "./settings-privacy";
import { HowToRing } from "./settings-ringing";

interface SettingsDialogProps {
  readonly client: ParleyClient;
  readonly nameOf: (userId: string) => string;
  readonly onClose: () => void;
  /** The account is gone. */
  readonly onDeleted: () => void;
}

/** Who may reach this user, how and when calls ring, what encrypts them, whom they blocked, and their data. */
export function SettingsDialog({ client, nameOf, onClose, onDeleted }: SettingsDialogProps): JSX.Element {
  return (
    <Modal title="Settings" wide onClose={onClose}>
      <Privacy client={client} />
      <HowToRing client={client} />
      <CallSecret client={client} />
      <BlockedPeople client={client} nameOf={nameOf} />
      <YourData client={client} onDeleted={onDeleted} />
    </Modal>
  );
}
