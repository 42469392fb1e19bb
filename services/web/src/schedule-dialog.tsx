import type { JSX } from "preact";
import { useState } from "preact/hooks";
import type { Failure } from "@parley/client";
import { isBlank, MAX_AHEAD_MS } from "@parley/client";
import { Modal } from "./modal";
import { QuestionEnd } from "./question-end";
import { fieldDirection, type Problem, t } from "./text";

interface ScheduleDialogProps {
  readonly title: string;
  readonly verb: string;
  /** What can be changed besides the time; undefined when that is nothing. */
  readonly text?: string | undefined;
  /** Whether the text may be empty: there are files beside it. */
  readonly mayBeEmpty?: boolean;
  readonly sendTimeMs: number;
  /** Rejects with a Failure, which is shown. */
  readonly act: (sendTimeMs: number, text: string) => Promise<void>;
  readonly onClose: () => void;
}

/** When a message is to be sent. */
export function ScheduleDialog({ title, verb, text, mayBeEmpty = false, sendTimeMs, act, onClose }: ScheduleDialogProps): JSX.Element {
  const [at, setAt] = useState(fieldValue(sendTimeMs));
  const [words, setWords] = useState(text ?? "");
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState<Problem>(undefined);
  const ready = !busy && at !== "" && (text === undefined || mayBeEmpty || !isBlank(words));
  const submit = async (event: Event): Promise<void> => {
    event.preventDefault();
    setBusy(true);
    try {
      // A field without a zone: the time of this device.
      await act(new Date(at).getTime(), words.trim());
      onClose();
    } catch (error) {
      setProblem(error as Failure);
    } finally {
      setBusy(false);
    }
  };
  return (
    <Modal title={title} onClose={onClose}>
      <form class="stacked" onSubmit={(event) => void submit(event)}>
        <p class="quiet">{t("scheduled.hint")}</p>
        {text !== undefined && <textarea rows={4} value={words} aria-label={t("composer.write")} {...fieldDirection(words)} onInput={(event) => setWords(event.currentTarget.value)} />}
        <label>
          {t("scheduled.when")}
          <input type="datetime-local" required value={at} max={fieldValue(Date.now() + MAX_AHEAD_MS)} onInput={(event) => setAt(event.currentTarget.value)} />
        </label>
        <QuestionEnd problem={problem} onClose={onClose}>
          <button type="submit" class="primary" disabled={!ready}>
            {verb}
          </button>
        </QuestionEnd>
      </form>
    </Modal>
  );
}

/** The full hour after this one. */
export function nextHourMs(): number {
  return new Date().setMinutes(60, 0, 0);
}

/** As a field for a date and a time of this device has it. */
function fieldValue(ms: number): string {
  return new Date(ms - new Date(ms).getTimezoneOffset() * 60_000).toISOString().slice(0, 16);
}
