import type { JSX } from "preact";
import { useState } from "preact/hooks";
import type { Failure, ParleyClient } from "@parley/client";
import { ProblemLine } from "./problem-line";
import { made, type Problem, t } from "./text";

/** How this browser stands in encrypted calls, and the user's other devices that wait to be confirmed. */
export function EncryptionSettings({ client }: { client: ParleyClient }): JSX.Element {
  const { encryption } = client;
  const { standing, waitingDevices } = encryption.view;
  const [problem, setProblem] = useState<Problem>(undefined);
  const run = (act: () => Promise<void>) => () => {
    setProblem(undefined);
    void act().catch((failure: Failure) => setProblem(failure));
  };
  return (
    <section class="settings-section" aria-label={t("calls")}>
      <h3>{t("calls")}</h3>
      <div class="setting-row">
        <p class="grow" data-testid="key-standing">
          {standingLine(encryption)}
        </p>
        {standing === "waiting" && (
          <button type="button" class="secondary" onClick={run(async () => (await encryption.keys()).startAnew())}>
            {t("keys.anew")}
          </button>
        )}
      </div>
      {standing === "confirmed" &&
        waitingDevices.map((id) => (
          <div class="setting-row" key={id}>
            <p class="grow">{t("keys.other", { id: made(shortId(id)) })}</p>
            <button type="button" class="secondary" onClick={run(async () => (await encryption.keys()).confirmDevice(id))}>
              {t("keys.confirm")}
            </button>
          </div>
        ))}
      <ProblemLine problem={problem} />
    </section>
  );
}

/** The end of a device's id, which the device shows itself. */
export const shortId = (id: string): string => id.slice(-6);

function standingLine({ isSupported, view: { standing }, ownId }: ParleyClient["encryption"]): string {
  if (!isSupported) return t("keys.none");
  if (standing === "confirmed") return t("keys.confirmed");
  return standing === "waiting" ? t("keys.waiting", { id: made(shortId(ownId)) }) : t("keys.unknown");
}
