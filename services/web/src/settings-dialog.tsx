import type { JSX } from "preact";
import type { ParleyClient } from "@parley/client";
import { Modal } from "./modal";
import { DeviceSettings } from "./devices-entry";
import { BlockedPeople } from "./settings-blocked";
import { EncryptionSettings } from "./settings-encryption";
import { DataSettings } from "./settings-data";
import { PrivacySettings } from "./settings-privacy";
import { RingSettings } from "./settings-ringing";
import { NoticeSettings } from "./settings-notices";
import type { DeviceNotices } from "./device-notices";
import { LanguageSettings } from "./settings-language";
import { t } from "./text";

interface SettingsDialogProps {
  readonly client: ParleyClient;
  readonly notices: DeviceNotices;
  readonly nameOf: (userId: string) => string;
  readonly onClose: () => void;
  /** The account is gone. */
  readonly onDeleted: () => void;
}

/** Privacy, notifications, ringing, what calls use, encryption of calls, blocked people, the page's language, and the user's data. */
export function SettingsDialog({ client, notices, nameOf, onClose, onDeleted }: SettingsDialogProps): JSX.Element {
  return (
    <Modal title={t("settings")} wide onClose={onClose}>
      <PrivacySettings client={client} />
      <NoticeSettings client={client} notices={notices} />
      <RingSettings client={client} />
      <DeviceSettings client={client} />
      <EncryptionSettings client={client} />
      <BlockedPeople client={client} nameOf={nameOf} />
      <LanguageSettings />
      <DataSettings client={client} onDeleted={onDeleted} />
    </Modal>
  );
}
