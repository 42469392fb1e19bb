import type { JSX } from "preact";
import { useState } from "preact/hooks";
import type { Audience, ParleyClient, Settings, SettingsChange } from "@parley/client";
import { AUDIENCES } from "@parley/client";
import { ProblemLine } from "./problem-line";
import { lineOf, type PlainKey, type Problem, t } from "./text";

const NAMES: Record<Audience, PlainKey> = {
  everyone: "audience.everyone",
  followed: "audience.followed",
  verified: "audience.verified",
  contacted: "audience.contacted",
  nobody: "audience.nobody",
};

const QUESTIONS: readonly { readonly key: keyof typeof AUDIENCES; readonly label: PlainKey; readonly hint: (audience: Audience) => PlainKey | undefined }[] = [
  {
    key: "messages",
    label: "privacy.messages",
    hint: (audience) => (audience === "everyone" ? undefined : audience === "nobody" ? "privacy.messages.nobody" : "privacy.messages.some"),
  },
  { key: "presence", label: "privacy.presence", hint: (audience) => (audience === "everyone" ? undefined : "privacy.presence.hint") },
  { key: "calls", label: "privacy.calls", hint: () => undefined },
];

/** Each choice counts at once. */
export function PrivacySettings({ client }: { client: ParleyClient }): JSX.Element {
  const { settings } = client.relations;
  const [problem, setProblem] = useState<Problem>(undefined);
  const change = (next: SettingsChange): void => {
    setProblem(undefined);
    void client.relations.update(next).catch(setProblem);
  };
  return (
    <section class="settings-section" aria-label={t("privacy")}>
      <h3>{t("privacy")}</h3>
      {settings ? <Choices settings={settings} change={change} /> : <p class="quiet">{t("loading")}</p>}
      <ProblemLine problem={problem} />
    </section>
  );
}

function Choices({ settings, change }: { settings: Settings; change: (next: SettingsChange) => void }): JSX.Element {
  return (
    <>
      {QUESTIONS.map(({ key, label, hint }) => (
        <label key={key} class="setting-row">
          <span class="grow">
            {t(label)}
            <span class="quiet small-print">{lineOf(hint(settings[key]))}</span>
          </span>
          <select value={settings[key]} onChange={(event) => change({ [key]: event.currentTarget.value as Audience })}>
            {AUDIENCES[key].map((audience) => (
              <option key={audience} value={audience}>
                {t(NAMES[audience])}
              </option>
            ))}
          </select>
        </label>
      ))}
      <label class="switch-row">
        <span class="grow">
          {t("receipts")}
          <span class="quiet small-print">{settings.sendReceipts ? t("receipts.on") : t("receipts.off")}</span>
        </span>
        <input type="checkbox" role="switch" checked={settings.sendReceipts} onChange={(event) => change({ sendReceipts: event.currentTarget.checked })} />
      </label>
    </>
  );
}
