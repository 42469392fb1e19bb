import type { JSX } from "preact";
import { useState } from "preact/hooks";
import type { Conversation, Failure, ParleyClient } from "@parley/client";
import { permissionsOf, VANISH_CHOICES_S } from "@parley/client";
import { lengthLine } from "./format";
import { Modal } from "./modal";
import { QuestionEnd } from "./question-end";
import { made, type Problem, t } from "./text";

interface VanishDialogProps {
  readonly client: ParleyClient;
  readonly conversation: Conversation;
  readonly onClose: () => void;
}

/** From when on new messages vanish. */
export function VanishDialog({ client, conversation, onClose }: VanishDialogProps): JSX.Element {
  const [afterS, setAfterS] = useState(conversation.vanishAfterS);
  const [problem, setProblem] = useState<Problem>(undefined);
  const may = conversation.kind === "direct" || permissionsOf(conversation, client.userId).rename;
  const choices = VANISH_CHOICES_S.includes(conversation.vanishAfterS) ? VANISH_CHOICES_S : [...VANISH_CHOICES_S, conversation.vanishAfterS];
  const save = async (event: Event): Promise<void> => {
    event.preventDefault();
    try {
      if (afterS !== conversation.vanishAfterS) await client.groups.setVanishing(conversation.id, afterS);
      onClose();
    } catch (error) {
      setProblem(error as Failure);
    }
  };
  return (
    <Modal title={t("vanishing")} onClose={onClose}>
      <form class="stacked" onSubmit={(event) => void save(event)}>
        <p class="quiet">{t("vanish.hint")}</p>
        <fieldset class="choices" disabled={!may}>
          <legend class="visually-hidden">{t("vanish.legend")}</legend>
          {choices.map((seconds) => (
            <label key={seconds}>
              <input type="radio" name="vanish" checked={afterS === seconds} onChange={() => setAfterS(seconds)} />
              {seconds === 0 ? t("off") : t("vanish.after", { length: made(lengthLine(seconds)) })}
            </label>
          ))}
        </fieldset>
        {!may && <p class="quiet">{t("vanish.admins")}</p>}
        <QuestionEnd problem={problem} onClose={onClose}>
          <button type="submit" class="primary" disabled={!may}>
            {t("save")}
          </button>
        </QuestionEnd>
      </form>
    </Modal>
  );
}
