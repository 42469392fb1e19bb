import type { JSX } from "preact";
import { useEffect, useState } from "preact/hooks";
import { FailureError, type NotificationLevel, type NotificationSettings, type ParleyClient } from "@parley/client";
import type { DeviceNotices, NoticesHere } from "./device-notices";
import { useChanges } from "./hooks";
import { ProblemLine } from "./problem-line";
import { QuietHoursSetting } from "./settings-quiet-hours";
import { type PlainKey, type Problem, t } from "./text";

const LEVELS: Record<NotificationLevel, PlainKey> = { all: "notices.level.all", mentions: "notices.level.mentions", none: "notices.level.none" };
const HINTS: Record<NoticesHere, PlainKey> = {
  unsupported: "notices.here.unsupported",
  refused: "notices.here.refused",
  off: "notices.here.off",
  on: "notices.here.on",
};

interface NoticeSettingsProps {
  readonly client: ParleyClient;
  readonly notices: DeviceNotices;
}

/** What one is told of while Parley is closed: in this browser, and on all devices. Each choice counts at once; nothing where nobody is told. */
export function NoticeSettings({ client, notices }: NoticeSettingsProps): JSX.Element | null {
  useChanges(notices);
  const { notifications } = client;
  const { current } = notifications;
  const [problem, setProblem] = useState<Problem>(undefined);
  const run = (request: Promise<void>): void => {
    setProblem(undefined);
    void request.catch((error: unknown) => setProblem(problemOf(error)));
  };
  useEffect(() => run(notifications.refresh()), []);
  if (!current && isUnserved(problem)) return null;
  return (
    <section class="settings-section" aria-label={t("notices")}>
      <h3>{t("notices")}</h3>
      {current ? (
        <>
          <Here served={notifications.isWebPushServed} state={notices.state} turn={(on) => run(on ? notices.turnOn() : notices.turnOff())} />
          <Everywhere settings={current} change={(next) => run(notifications.update(next))} />
        </>
      ) : (
        !problem && <p class="quiet">{t("loading")}</p>
      )}
      <ProblemLine problem={problem} />
    </section>
  );
}

function Here({ served, state, turn }: { served: boolean; state: NoticesHere; turn: (on: boolean) => void }): JSX.Element {
  return (
    <label class="switch-row">
      <span class="grow">
        {t("notices.here")}
        <span class="quiet small-print">{t(served ? HINTS[state] : "notices.here.unserved")}</span>
      </span>
      <input type="checkbox" role="switch" checked={state === "on"} disabled={!served || state === "unsupported" || state === "refused"} onChange={(event) => turn(event.currentTarget.checked)} />
    </label>
  );
}

function Everywhere({ settings, change }: { settings: NotificationSettings; change: (next: Partial<NotificationSettings>) => void }): JSX.Element {
  const { level, previews, quietHours } = settings;
  return (
    <>
      <label class="setting-row">
        <span class="grow">{t("notices.level")}</span>
        <select value={level} onChange={(event) => change({ level: event.currentTarget.value as NotificationLevel })}>
          {Object.entries(LEVELS).map(([choice, key]) => (
            <option key={choice} value={choice}>
              {t(key)}
            </option>
          ))}
        </select>
      </label>
      <label class="switch-row">
        <span class="grow">
          {t("notices.previews")}
          <span class="quiet small-print">{previews ? t("notices.previews.on") : t("notices.previews.off")}</span>
        </span>
        <input type="checkbox" role="switch" checked={previews} onChange={(event) => change({ previews: event.currentTarget.checked })} />
      </label>
      <QuietHoursSetting label={t("notices.quiet")} hint={quietHours ? t("notices.quiet.on") : t("notices.quiet.off")} hours={quietHours} onChange={(next) => change({ quietHours: next })} />
    </>
  );
}

/** What the service said; of the browser, that it would not. */
function problemOf(error: unknown): Problem {
  return error instanceof FailureError ? error : "notices.here.failed";
}

function isUnserved(problem: Problem): boolean {
  return typeof problem === "object" && "code" in problem && problem.code === "unimplemented";
}
