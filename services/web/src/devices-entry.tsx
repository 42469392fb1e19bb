import type { JSX } from "preact";
import { useState } from "preact/hooks";
import type { ParleyClient } from "@parley/client";
import { Icon } from "./icons";
import { lazyWindow } from "./lazy-window";
import { t } from "./text";

interface DevicesProps {
  readonly client: ParleyClient;
  readonly onClose: () => void;
}

/** The window in which microphone, camera and speaker are chosen. */
export const DevicesWindow = lazyWindow<DevicesProps>(async () => (await import("./devices-dialog")).DevicesDialog);

/** Opens that window, wherever a call is about to begin. */
export function DevicesButton({ client }: { client: ParleyClient }): JSX.Element {
  const [open, setOpen] = useState(false);
  return (
    <>
      <button type="button" class="plain devices-button" aria-haspopup="dialog" onClick={() => setOpen(true)}>
        <Icon name="sliders" />
        {t("devices")}
      </button>
      {open && <DevicesWindow client={client} onClose={() => setOpen(false)} />}
    </>
  );
}

/** Among one's settings. */
export function DeviceSettings({ client }: { client: ParleyClient }): JSX.Element {
  return (
    <section class="settings-section" aria-label={t("devices")}>
      <h3>{t("devices")}</h3>
      <p class="quiet small-print">{t("devices.kept")}</p>
      <DevicesButton client={client} />
    </section>
  );
}
