import type { JSX } from "preact";
import { useState } from "preact/hooks";
import type { Conversation, Failure, ParleyClient } from "@parley/client";
import { permissionsOf, VANISH_CHOICES_S } from "@parley/client";
import { lengthLine } from "./format";
import { Modal } from "./modal";

interface VanishDialogProps {
  readonly client: ParleyClient;
  readonly conversation: Conversation;
  readonly onClose: () => void;
}

/** From when on new messages vanish. */
export function VanishDialog({ client, conversation, onClose }: VanishDialogProps): JSX.Element {
  const [afterS, setAfterS] = useState(conversation.vanishAfterS);
  const [problem, setProblem] = useState("");
  const may = conversation.kind === "direct" || permissionsOf(conversation, client.userId).rename;
  const choices = VANISH_CHOICES_S.includes(conversation.vanishAfterS) ? VANISH_CHOICES_S : [...VANISH_CHOICES_S, conversation.vanishAfterS];
  const save = async (event: Event): Promise<void> => {
    event.preventDefault();
    try {
      if (afterS !== conversation.vanishAfterS) await client.groups.setVanishing(conversation.id, afterS);
      onClose();
    } catch (error) {
      setProblem((error as Failure).line);
    }
  };
  return (
    <Modal title="Vanishing messages" onClose={onClose}>
      <form class="stacked" onSubmit={(event) => void save(event)}>
        <p class="quiet">New messages vanish for everyone in this conversation some time after they were sent. What is here already stays.</p>
        <fieldset class="choices" disabled={!may}>
          <legend class="visually-hidden">New messages vanish after</legend>
          {choices.map((seconds) => (
            <label key={seconds}>
              <input type="radio" name="vanish" checked={afterS === seconds} onChange={() => setAfterS(seconds)} />
              {seconds === 0 ? "Off" : `After ${lengthLine(seconds)}`}
            </label>
          ))}
        </fieldset>
        {!may && <p class="quiet">Only admins of the group can change this.</p>}
        <p class="problem" role="alert">
          {problem}
        </p>
        <div class="question-buttons">
          <button type="button" class="plain" onClick={onClose}>
            Cancel
          </button>
          <button type="submit" class="primary" disabled={!may}>
            Save
          </button>
        </div>
      </form>
    </Modal>
  );
}
