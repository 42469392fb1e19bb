import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { useModalDialog } from "./hooks";
import type { Failure } from "@parley/client";
import { QuestionEnd } from "./question-end";
import type { Problem } from "./text";

interface ConfirmDialogProps {
  readonly title: string;
  readonly body: string;
  /** The word on the button that does it. */
  readonly verb: string;
  readonly danger?: boolean;
  /** What it does; a rejection's line is shown, and the question stays. */
  readonly act: () => Promise<void>;
  readonly onClose: () => void;
}

/** Asks before something that cannot be taken back. */
export function ConfirmDialog({ title, body, verb, danger = false, act, onClose }: ConfirmDialogProps): JSX.Element {
  const dialog = useModalDialog();
  const [problem, setProblem] = useState<Problem>(undefined);
  const [busy, setBusy] = useState(false);
  const confirm = async (): Promise<void> => {
    setBusy(true);
    try {
      await act();
      onClose();
    } catch (error) {
      setProblem(error as Failure);
      setBusy(false);
    }
  };
  return (
    <dialog class="question" ref={dialog} role="alertdialog" aria-labelledby="question-title" aria-describedby="question-body" onCancel={onClose}>
      <h2 id="question-title">{title}</h2>
      <p id="question-body" class="quiet">
        {body}
      </p>
      <QuestionEnd problem={problem} onClose={onClose}>
        <button type="button" class={`primary ${danger ? "danger-fill" : ""}`} disabled={busy} onClick={() => void confirm()}>
          {verb}
        </button>
      </QuestionEnd>
    </dialog>
  );
}
