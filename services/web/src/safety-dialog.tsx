import type { JSX } from "preact";
import { useEffect, useState } from "preact/hooks";
import { type Failure, groupedDigits, type ParleyClient } from "@parley/client";
import { Modal } from "./modal";
import { ProblemLine } from "./problem-line";
import { type Problem, t } from "./text";

interface SafetyDialogProps {
  readonly client: ParleyClient;
  readonly conversationId: string;
  readonly userId: string;
  readonly name: string;
  readonly onClose: () => void;
}

/** The number that two people compare, to know that nobody stands between them. */
export function SafetyDialog({ client, conversationId, userId, name, onClose }: SafetyDialogProps): JSX.Element {
  /** Undefined while it is made; empty when somebody has no keys. */
  const [digits, setDigits] = useState<string | undefined>(undefined);
  const [problem, setProblem] = useState<Problem>(undefined);
  useEffect(() => {
    let shown = true;
    client.encryption.keys().then((keys) => keys.safetyNumber(userId, conversationId)).then(
      (found) => shown && setDigits(found ?? ""),
      (failure: Failure) => shown && setProblem(failure),
    );
    return () => void (shown = false);
  }, [client, conversationId, userId]);
  return (
    <Modal title={t("safety")} onClose={onClose}>
      <p class="quiet">{t("safety.hint", { name })}</p>
      {digits && (
        <p class="safety-number" dir="ltr" data-testid="safety-number">
          {groupedDigits(digits).map((group, at) => (
            <span key={at}>{group}</span>
          ))}
        </p>
      )}
      {digits === "" && <p role="status">{t("safety.none", { name })}</p>}
      <ProblemLine problem={problem} />
    </Modal>
  );
}
