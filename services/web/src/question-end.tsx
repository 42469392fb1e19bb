import type { ComponentChildren, JSX } from "preact";
import { ProblemLine } from "./problem-line";
import { type Problem, t } from "./text";

interface Props {
  readonly problem: Problem;
  readonly onClose: () => void;
  /** The button that does it. */
  readonly children: ComponentChildren;
}

/** The end of a dialog that asks: what went wrong, a way out, and the button that does it. */
export function QuestionEnd({ problem, onClose, children }: Props): JSX.Element {
  return (
    <>
      <ProblemLine problem={problem} />
      <div class="question-buttons">
        <button type="button" class="plain" onClick={onClose}>
          {t("cancel")}
        </button>
        {children}
      </div>
    </>
  );
}
