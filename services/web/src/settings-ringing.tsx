import type { JSX } from "preact";
import { useEffect, useState } from "preact/hooks";
import type { ParleyClient, QuietHours, Ringing } from "@parley/client";
import { lineOf, type Problem, t } from "./text";

/** What the switch offers first: eleven at night to seven. */
const NIGHT: QuietHours = { startMinute: 23 * 60, endMinute: 7 * 60 };

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
      <p class="problem" role="alert">
        {lineOf(problem)}
      </p>
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
      <label class="switch-row">
        <span class="grow">
          {t("quiet")}
          <span class="quiet small-print">{quietHours ? t("quiet.on") : t("quiet.off")}</span>
        </span>
        <input type="checkbox" role="switch" checked={quietHours !== undefined} onChange={(event) => change({ quietHours: event.currentTarget.checked ? NIGHT : undefined })} />
      </label>
      {quietHours && (
        <div class="setting-row">
          <span class="grow">{t("quiet.span")}</span>
          <Time label={t("quiet.from")} minute={quietHours.startMinute} onChange={(startMinute) => change({ quietHours: { ...quietHours, startMinute } })} />
          <Time label={t("quiet.to")} minute={quietHours.endMinute} onChange={(endMinute) => change({ quietHours: { ...quietHours, endMinute } })} />
        </div>
      )}
    </>
  );
}

function Time({ label, minute, onChange }: { label: string; minute: number; onChange: (minute: number) => void }): JSX.Element {
  const two = (value: number): string => String(value).padStart(2, "0");
  const read = (text: string): void => {
    const [hours, minutes] = text.split(":").map(Number);
    // The field is empty while one of its parts is.
    if (hours !== undefined && minutes !== undefined) onChange(hours * 60 + minutes);
  };
  return <input type="time" class="time-field" aria-label={label} value={`${two(Math.floor(minute / 60))}:${two(minute % 60)}`} onChange={(event) => read(event.currentTarget.value)} />;
}
