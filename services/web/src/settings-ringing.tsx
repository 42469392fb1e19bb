import type { JSX } from "preact";
import { useEffect, useState } from "preact/hooks";
import type { ParleyClient, Ringing } from "@parley/client";
import { ProblemLine } from "./problem-line";
import { QuietHoursSetting } from "./settings-quiet-hours";
import { type Problem, t } from "./text";

/** When, and during what, calls ring. Each choice counts at once. */
export function RingSettings({ client }: { client: ParleyClient }): JSX.Element | null {
  const { callSettings } = client;
  const [problem, setProblem] = useState<Problem>(undefined);
  const run = (request: Promise<void>): void => {
    setProblem(undefined);
    void request.catch(setProblem);
  };
  useEffect(() => run(callSettings.refresh()), []);
  return (
    <section class="settings-section" aria-label={t("ringing")}>
      <h3>{t("ringing")}</h3>
      {callSettings.current ? <Choices ringing={callSettings.current} change={(next) => run(callSettings.update(next))} /> : !problem && <p class="quiet">{t("loading")}</p>}
      <ProblemLine problem={problem} />
    </section>
  );
}

function Choices({ ringing, change }: { ringing: Ringing; change: (next: Partial<Ringing>) => void }): JSX.Element {
  const { callWaiting, quietHours } = ringing;
  return (
    <>
      <label class="switch-row">
        <span class="grow">
          {t("waiting")}
          <span class="quiet small-print">{callWaiting ? t("waiting.on") : t("waiting.off")}</span>
        </span>
        <input type="checkbox" role="switch" checked={callWaiting} onChange={(event) => change({ callWaiting: event.currentTarget.checked })} />
      </label>
      <QuietHoursSetting label={t("quiet")} hint={quietHours ? t("quiet.on") : t("quiet.off")} hours={quietHours} onChange={(next) => change({ quietHours: next })} />
    </>
  );
}
