import type { JSX } from "preact";
import { useState } from "preact/hooks";
import type { Audience, Failure, ParleyClient, Settings, SettingsChange } from "@parley/client";
import { AUDIENCES } from "@parley/client";

const NAMES: Record<Audience, string> = {
  everyone: "Everyone",
  followed: "People I follow",
  verified: "Verified people",
  contacted: "People I have written to",
  nobody: "Nobody",
};

const QUESTIONS: readonly { readonly key: keyof typeof AUDIENCES; readonly label: string; readonly hint: (audience: Audience) => string }[] = [
  {
    key: "messages",
    label: "Who may message me",
    hint: (audience) => (audience === "everyone" ? "" : audience === "nobody" ? "Nobody new can write to you. Your conversations go on." : "Messages of others wait in Message requests."),
  },
  { key: "presence", label: "Who sees when I am online", hint: (audience) => (audience === "everyone" ? "" : "Those who cannot see you are not shown to you either.") },
  { key: "calls", label: "Who may call me", hint: () => "" },
];

/** Each choice counts at once. */
export function PrivacySettings({ client }: { client: ParleyClient }): JSX.Element {
  const { settings } = client.relations;
  const [problem, setProblem] = useState("");
  const change = (next: SettingsChange): void => {
    setProblem("");
    void client.relations.update(next).catch((failure: Failure) => setProblem(failure.line));
  };
  return (
    <section class="settings-section" aria-label="Privacy">
      <h3>Privacy</h3>
      {settings ? <Choices settings={settings} change={change} /> : <p class="quiet">Loading…</p>}
      <p class="problem" role="alert">
        {problem}
      </p>
    </section>
  );
}

function Choices({ settings, change }: { settings: Settings; change: (next: SettingsChange) => void }): JSX.Element {
  return (
    <>
      {QUESTIONS.map(({ key, label, hint }) => (
        <label key={key} class="setting-row">
          <span class="grow">
            {label}
            <span class="quiet small-print">{hint(settings[key])}</span>
          </span>
          <select value={settings[key]} onChange={(event) => change({ [key]: event.currentTarget.value as Audience })}>
            {AUDIENCES[key].map((audience) => (
              <option key={audience} value={audience}>
                {NAMES[audience]}
              </option>
            ))}
          </select>
        </label>
      ))}
      <label class="switch-row">
        <span class="grow">
          Send receipts
          <span class="quiet small-print">{settings.sendReceipts ? "Others see what has reached you and what you have read." : "Others learn neither what has reached you nor what you have read."}</span>
        </span>
        <input type="checkbox" role="switch" checked={settings.sendReceipts} onChange={(event) => change({ sendReceipts: event.currentTarget.checked })} />
      </label>
    </>
  );
}
