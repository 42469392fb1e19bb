import type { JSX } from "preact";
import { useState } from "preact/hooks";
import type { ParleyClient } from "@parley/client";
import { t } from "./text";

/** The passphrase that encrypts calls end to end. It stays in this page: a reload forgets it. */
export function CallPassphrase({ client }: { client: ParleyClient }): JSX.Element {
  const { encryption } = client;
  const [text, setText] = useState("");
  const save = (passphrase: string | undefined): void => {
    encryption.use(passphrase);
    setText("");
  };
  return (
    <section class="settings-section" aria-label={t("calls")}>
      <h3>{t("calls")}</h3>
      <form
        class="setting-row"
        onSubmit={(event) => {
          event.preventDefault();
          if (text) save(text);
        }}
      >
        <label class="grow">
          {t("passphrase")}
          <span class="quiet small-print">{hint(encryption.isSupported, encryption.isOn)}</span>
          <input type="password" autocomplete="off" value={text} disabled={!encryption.isSupported} onInput={(event) => setText(event.currentTarget.value)} />
        </label>
        {encryption.isOn ? (
          <button type="button" class="secondary" onClick={() => save(undefined)}>
            {t("passphrase.clear")}
          </button>
        ) : (
          <button type="submit" class="secondary" disabled={!text}>
            {t("passphrase.use")}
          </button>
        )}
      </form>
    </section>
  );
}

function hint(isSupported: boolean, isOn: boolean): string {
  if (!isSupported) return t("passphrase.none");
  if (isOn) return t("passphrase.on");
  return t("passphrase.off");
}
