import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { isLanguage, language, LANGUAGES } from "./language";
import { ProblemLine } from "./problem-line";
import { type Problem, t } from "./text";

/** In which language the page speaks, in this browser. */
export function LanguageSettings(): JSX.Element {
  const [problem, setProblem] = useState<Problem>(undefined);
  const choose = (code: string): void => {
    setProblem(undefined);
    language.choose(isLanguage(code) ? code : "").catch(() => setProblem("language.failed"));
  };
  return (
    <section class="settings-section" aria-label={t("language")}>
      <h3>{t("language")}</h3>
      <label class="setting-row">
        <span class="grow">{t("language.label")}</span>
        <select value={language.choice} onChange={(event) => choose(event.currentTarget.value)}>
          <option value="">{t("language.browser")}</option>
          {Object.entries(LANGUAGES).map(([code, { name }]) => (
            <option key={code} value={code} lang={code}>
              {name}
            </option>
          ))}
        </select>
      </label>
      <ProblemLine problem={problem} />
    </section>
  );
}
