import type { JSX } from "preact";
import { useState } from "preact/hooks";
import type { Conversation, Failure, ParleyClient, ReportReason } from "@parley/client";
import { isUserContent } from "@parley/client";
import { maxLength } from "./max-length";
import { Modal } from "./modal";
import { titleOf, type Viewer } from "./conversation-text";

const REASONS: readonly { readonly reason: ReportReason; readonly label: string }[] = [
  { reason: "spam", label: "Spam or fraud" },
  { reason: "abuse", label: "Harassment or hate" },
  { reason: "self_harm", label: "Someone may harm themselves" },
  { reason: "illegal", label: "Something illegal" },
  { reason: "other", label: "Something else" },
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
  const [problem, setProblem] = useState("");
  const [busy, setBusy] = useState(false);
  const meant = userId ? messagesOf(client, conversation.id, userId) : seqs;
  const name = userId ? viewer.nameOf(userId) : titleOf(conversation, viewer).name;
  const title = seqs.length > 0 ? "Report this message" : conversation.kind === "group" && !userId ? `Report “${name}”` : `Report ${name}`;
  const submit = async (event: Event): Promise<void> => {
    event.preventDefault();
    if (!reason) return setProblem("Choose what it is about.");
    setBusy(true);
    try {
      await client.relations.report({ conversationId: conversation.id, seqs: meant, reason, comment: comment.trim() });
      client.showNotice("Thank you. The moderators will look at it.");
      onClose();
    } catch (error) {
      setProblem((error as Failure).line);
      setBusy(false);
    }
  };
  return (
    <Modal title={title} onClose={onClose}>
      <form class="stacked" onSubmit={(event) => void submit(event)}>
        <p class="quiet">{seqs.length > 0 ? "The moderators get a copy of the message." : "The moderators get a copy of the newest messages."} Nobody here is told.</p>
        <fieldset class="choices">
          <legend>What is it about?</legend>
          {REASONS.map(({ reason: value, label }) => (
            <label key={value}>
              <input type="radio" name="reason" value={value} checked={reason === value} onChange={() => setReason(value)} />
              {label}
            </label>
          ))}
        </fieldset>
        <label class="labelled">
          <span>Anything to add? (optional)</span>
          <textarea rows={3} {...maxLength(client.limits.reportCommentChars)} value={comment} dir="auto" onInput={(event) => setComment(event.currentTarget.value)} />
        </label>
        <p class="problem" role="alert">
          {problem}
        </p>
        <div class="question-buttons">
          <button type="button" class="plain" onClick={onClose}>
            Cancel
          </button>
          <button type="submit" class="primary danger-fill" disabled={busy}>
            Report
          </button>
        </div>
      </form>
    </Modal>
  );
}

function messagesOf(client: ParleyClient, conversationId: string, userId: string): number[] {
  const messages = client.messaging.store.get(conversationId)?.messages ?? [];
  const theirs = messages.filter((m) => m.senderId === userId && isUserContent(m.content));
  return theirs.slice(-client.limits.reportMessages).map((m) => m.seq);
}
