import type { JSX } from "preact";
import type { QuietHours } from "@parley/client";
import { t } from "./text";

/** What the switch offers first: eleven at night to seven. */
const NIGHT: QuietHours = { startMinute: 23 * 60, endMinute: 7 * 60 };

interface QuietHoursProps {
  readonly label: string;
  /** What follows from the choice. */
  readonly hint: string;
  readonly hours: QuietHours | undefined;
  readonly onChange: (hours: QuietHours | undefined) => void;
}

/** Hours of each day, or none. */
export function QuietHoursSetting({ label, hint, hours, onChange }: QuietHoursProps): JSX.Element {
  return (
    <>
      <label class="switch-row">
        <span class="grow">
          {label}
          <span class="quiet small-print">{hint}</span>
        </span>
        <input type="checkbox" role="switch" checked={hours !== undefined} onChange={(event) => onChange(event.currentTarget.checked ? NIGHT : undefined)} />
      </label>
      {hours && (
        <div class="setting-row" role="group" aria-label={label}>
          <span class="grow">{t("quiet.span")}</span>
          <Time label={t("quiet.from")} minute={hours.startMinute} onChange={(startMinute) => onChange({ ...hours, startMinute })} />
          <Time label={t("quiet.to")} minute={hours.endMinute} onChange={(endMinute) => onChange({ ...hours, endMinute })} />
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
