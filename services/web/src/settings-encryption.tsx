import type { JSX } from "preact";
import { useState } from "preact/hooks";
import type { ParleyClient } from "@parley/client";

/** The passphrase that encrypts calls end to end. It stays in this page: a reload forgets it. */
export function CallPassphrase({ client }: { client: ParleyClient }): JSX.Element {
  const { encryption } = client;
  const [text, setText] = useState("");
  const save = (passphrase: string | undefined): void => {
    encryption.use(passphrase);
    setText("");
  };
  return (
    <section class="settings-section" aria-label="Calls">
      <h3>Calls</h3>
      <form
        class="setting-row"
        onSubmit={(event) => {
          event.preventDefault();
          if (text) save(text);
        }}
      >
        <label class="grow">
          Call passphrase
          <span class="quiet small-print">{hint(encryption.isSupported, encryption.isOn)}</span>
          <input type="password" autocomplete="off" value={text} disabled={!encryption.isSupported} onInput={(event) => setText(event.currentTarget.value)} />
        </label>
        {encryption.isOn ? (
          <button type="button" class="secondary" onClick={() => save(undefined)}>
            Turn off
          </button>
        ) : (
          <button type="submit" class="secondary" disabled={!text}>
            Encrypt calls
          </button>
        )}
      </form>
    </section>
  );
}

function hint(isSupported: boolean, isOn: boolean): string {
  if (!isSupported) return "This browser cannot encrypt calls end to end.";
  if (isOn) return "Calls that begin now are encrypted end to end. Everyone in them needs the same passphrase.";
  return "Agree on a long one with the others, outside of Parley. It never leaves this page.";
}
