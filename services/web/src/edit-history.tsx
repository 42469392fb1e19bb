import type { JSX } from "preact";
import { useEffect, useState } from "preact/hooks";
import type { Edit, Message, ParleyClient } from "@parley/client";
import { dateTime } from "./format";
import { Modal } from "./modal";
import { ProblemLine } from "./problem-line";
import { type Problem, t } from "./text";

interface EditHistoryProps {
  readonly client: ParleyClient;
  readonly message: Message;
  readonly onClose: () => void;
}

/** The earlier texts of a message, the newest first. */
export function EditHistory({ client, message, onClose }: EditHistoryProps): JSX.Element {
  const [edits, setEdits] = useState<readonly Edit[] | undefined>(undefined);
  const [problem, setProblem] = useState<Problem>(undefined);
  useEffect(() => {
    client.messaging.edits(message.conversationId, message.seq).then(setEdits, setProblem);
  }, [message.revision]);
  const now = message.content.kind === "text" ? message.content.text : "";
  return (
    <Modal title={t("history.title")} onClose={onClose}>
      <ol class="versions">
        <Version label={t("history.now")} text={now} />
        {[...(edits ?? [])].reverse().map((edit) => (
          <Version key={edit.writeTimeMs} label={dateTime(edit.writeTimeMs)} text={edit.text} />
        ))}
      </ol>
      {!edits && !problem && <p class="quiet">{t("loading")}</p>}
      <ProblemLine problem={problem} />
    </Modal>
  );
}

function Version({ label, text }: { label: string; text: string }): JSX.Element {
  return (
    <li>
      <span class="quiet">{label}</span>
      <p dir="auto">{text}</p>
    </li>
  );
}
