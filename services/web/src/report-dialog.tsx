import type { JSX } from "preact";
import { useState } from "preact/hooks";
import type { Conversation, Failure, ParleyClient, ReportReason } from "@parley/client";
import { isUserContent } from "@parley/client";
import { maxLength } from "./max-length";
import { Modal } from "./modal";
import { titleOf, type Viewer } from "./conversation-text";
import { QuestionEnd } from "./question-end";
import { fieldDirection, type PlainKey, type Problem, t } from "./text";

const REASONS: readonly { readonly reason: ReportReason; readonly label: PlainKey }[] = [
  { reason: "spam", label: "report.spam" },
  { reason: "abuse", label: "report.abuse" },
  { reason: "self_harm", label: "report.harm" },
  { reason: "illegal", label: "report.illegal" },
  { reason: "other", label: "report.other" },
];

interface ReportDialogProps {
  readonly client: ParleyClient;
  readonly conversation: Conversation;
  readonly viewer: Viewer;
  readonly seqs: readonly number[];
  /** A member of a group whose messages are meant. */
  readonly userId?: string | undefined;
  readonly onClose: () => void;
}

/** Tells the moderators about a message, a person or a conversation. */
export function ReportDialog({ client, conversation, viewer, seqs, userId, onClose }: ReportDialogProps): JSX.Element {
  const [reason, setReason] = useState<ReportReason | undefined>(undefined);
  const [comment, setComment] = useState("");
  const [problem, setProblem] = useState<Problem>(undefined);
  const [busy, setBusy] = useState(false);
  const meant = userId ? messagesOf(client, conversation.id, userId) : seqs;
  const name = userId ? viewer.nameOf(userId) : titleOf(conversation, viewer).name;
  const title = seqs.length > 0 ? t("report.message") : t(conversation.kind === "group" && !userId ? "report.group.name" : "report.name", { name });
  const submit = async (event: Event): Promise<void> => {
    event.preventDefault();
    if (!reason) return setProblem("report.choose");
    setBusy(true);
    try {
      await client.relations.report({ conversationId: conversation.id, seqs: meant, reason, comment: comment.trim() });
      client.showNotice(t("report.thanks"));
      onClose();
    } catch (error) {
      setProblem(error as Failure);
      setBusy(false);
    }
  };
  return (
    <Modal title={title} onClose={onClose}>
      <form class="stacked" onSubmit={(event) => void submit(event)}>
        <p class="quiet">{seqs.length > 0 ? t("report.copy.message") : t("report.copy.newest")}</p>
        <fieldset class="choices">
          <legend>{t("report.about")}</legend>
          {REASONS.map(({ reason: value, label }) => (
            <label key={value}>
              <input type="radio" name="reason" value={value} checked={reason === value} onChange={() => setReason(value)} />
              {t(label)}
            </label>
          ))}
        </fieldset>
        <label class="labelled">
          <span>{t("report.comment")}</span>
          <textarea rows={3} {...maxLength(client.limits.reportCommentChars)} value={comment} {...fieldDirection(comment)} onInput={(event) => setComment(event.currentTarget.value)} />
        </label>
        <QuestionEnd problem={problem} onClose={onClose}>
          <button type="submit" class="primary danger-fill" disabled={busy}>
            {t("report")}
          </button>
        </QuestionEnd>
      </form>
    </Modal>
  );
}

function messagesOf(client: ParleyClient, conversationId: string, userId: string): number[] {
  const messages = client.messaging.store.get(conversationId)?.messages ?? [];
  const theirs = messages.filter((m) => m.senderId === userId && isUserContent(m.content));
  return theirs.slice(-client.limits.reportMessages).map((m) => m.seq);
}
