import type { JSX } from "preact";
import { useState } from "preact/hooks";
import type { Conversation, Failure, ParleyClient, ScheduledCall } from "@parley/client";
import { lengthLine } from "./format";
import { Modal } from "./modal";
import { QuestionEnd } from "./question-end";
import { fieldDirection, made, type Problem, t } from "./text";

interface ScheduleCallDialogProps {
  readonly client: ParleyClient;
  readonly conversation: Conversation;
  /** The one that is changed; without it a new one is planned. */
  readonly call: ScheduledCall | undefined;
  readonly nowMs: number;
  readonly onClose: () => void;
}

const LENGTHS_S = [900, 1800, 3600, 5400, 7200, 14_400];
const REMINDERS_S = [0, 300, 600, 1800, 3600, 86_400];
const HOUR_MS = 3_600_000;
/** The service takes as many. */
const MAX_TITLE_CHARS = 100;

/** Plans a call, or plans one anew. */
export function ScheduleCallDialog({ client, conversation, call, nowMs, onClose }: ScheduleCallDialogProps): JSX.Element {
  const [title, setTitle] = useState(call?.title ?? "");
  // At the next full hour.
  const [start, setStart] = useState(() => fieldOf(call?.startTimeMs ?? Math.ceil((nowMs + 1) / HOUR_MS) * HOUR_MS));
  const [lengthS, setLengthS] = useState(call?.lengthS ?? 1800);
  const [reminderS, setReminderS] = useState(call?.reminderS ?? 600);
  const [video, setVideo] = useState(call?.video ?? false);
  const [problem, setProblem] = useState<Problem>(undefined);
  const [busy, setBusy] = useState(false);
  const save = async (event: Event): Promise<void> => {
    event.preventDefault();
    const startTimeMs = new Date(start).getTime();
    if (!(startTimeMs > Date.now())) return setProblem("schedule.past");
    const draft = { title: title.trim(), video, startTimeMs, lengthS, reminderS };
    setBusy(true);
    try {
      await (call ? client.scheduledCalls.change(call.id, draft) : client.scheduledCalls.schedule(conversation.id, draft));
      onClose();
    } catch (error) {
      setProblem(error as Failure);
      setBusy(false);
    }
  };
  return (
    <Modal title={call ? t("schedule.change.title") : t("schedule.title")} onClose={onClose}>
      <form class="stacked" onSubmit={(event) => void save(event)}>
        <label class="labelled">
          <span>{t("schedule.subject")}</span>
          <input {...fieldDirection(title)} required maxLength={MAX_TITLE_CHARS} value={title} onInput={(event) => setTitle(event.currentTarget.value)} />
        </label>
        <label class="labelled">
          <span>{t("schedule.when")}</span>
          <input type="datetime-local" required value={start} onInput={(event) => setStart(event.currentTarget.value)} />
        </label>
        <label class="labelled">
          <span>{t("schedule.length")}</span>
          <Choice values={LENGTHS_S} value={lengthS} onChange={setLengthS} lineOfValue={lengthLine} />
        </label>
        <label class="labelled">
          <span>{t("schedule.reminder")}</span>
          <Choice values={REMINDERS_S} value={reminderS} onChange={setReminderS} lineOfValue={reminderLine} />
        </label>
        <label class="switch-row">
          <span class="grow">{t("schedule.video")}</span>
          <input type="checkbox" role="switch" checked={video} onChange={(event) => setVideo(event.currentTarget.checked)} />
        </label>
        <QuestionEnd problem={problem} onClose={onClose}>
          <button type="submit" class="primary" disabled={busy}>
            {call ? t("save") : t("schedule.save")}
          </button>
        </QuestionEnd>
      </form>
    </Modal>
  );
}

interface ChoiceProps {
  readonly values: readonly number[];
  readonly value: number;
  readonly onChange: (value: number) => void;
  readonly lineOfValue: (value: number) => string;
}

function Choice({ values, value, onChange, lineOfValue }: ChoiceProps): JSX.Element {
  // One that another client chose stays.
  const all = values.includes(value) ? values : [...values, value].sort((a, b) => a - b);
  return (
    <select value={String(value)} onChange={(event) => onChange(Number(event.currentTarget.value))}>
      {all.map((each) => (
        <option key={each} value={String(each)}>
          {lineOfValue(each)}
        </option>
      ))}
    </select>
  );
}

function reminderLine(seconds: number): string {
  return seconds === 0 ? t("schedule.reminder.none") : t("schedule.before", { length: made(lengthLine(seconds)) });
}

/** As a field for local times has it: `2026-01-31T18:30`. */
export function fieldOf(ms: number): string {
  const offsetMs = new Date(ms).getTimezoneOffset() * 60_000;
  return new Date(ms - offsetMs).toISOString().slice(0, 16);
}
