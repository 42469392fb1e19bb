import type { JSX } from "preact";
import { useState } from "preact/hooks";
import type { Conversation, Failure, ParleyClient, ScheduledMessage } from "@parley/client";
import { findEntities } from "@parley/client";
import { messageLine, type Viewer } from "./conversation-text";
import { dateTime } from "./format";
import { Icon } from "./icons";
import { peopleOf } from "./mentions";
import { Modal } from "./modal";
import { ProblemLine } from "./problem-line";
import { nextHourMs, ScheduleDialog } from "./schedule-dialog";
import { lineOf, made, type Problem, t } from "./text";

interface ScheduledProps {
  readonly client: ParleyClient;
  readonly conversation: Conversation;
  readonly viewer: Viewer;
}

/** That messages of this conversation wait for their time, or were not sent at it: a press shows them. */
export function ScheduledBar(props: ScheduledProps): JSX.Element | null {
  const [open, setOpen] = useState(false);
  const messages = props.client.scheduled.of(props.conversation.id);
  const refused = messages.filter(({ state }) => state === "refused").length;
  if (messages.length === 0 && !open) return null;
  return (
    <div class="scheduled-bar">
      <button type="button" onClick={() => setOpen(true)}>
        <Icon name={refused > 0 ? "alert" : "clock"} />
        {refused > 0 ? t("scheduled.failed", { count: refused }) : t("scheduled.waiting", { count: messages.length })}
      </button>
      {open && <ScheduledList {...props} messages={messages} onClose={() => setOpen(false)} />}
    </div>
  );
}

interface ListProps extends ScheduledProps {
  readonly messages: readonly ScheduledMessage[];
  readonly onClose: () => void;
}

function ScheduledList({ messages, onClose, ...props }: ListProps): JSX.Element {
  const [changed, setChanged] = useState<ScheduledMessage | undefined>(undefined);
  const [problem, setProblem] = useState<Problem>(undefined);
  const { scheduled } = props.client;
  const attempt = (act: Promise<void>): void => {
    setProblem(undefined);
    act.catch((failure: Failure) => setProblem(failure));
  };
  return (
    <Modal title={t("scheduled.list")} onClose={onClose}>
      <ul class="scheduled-list">
        {messages.map((message) => (
          <li key={message.clientMessageId}>
            <span class="quiet">{dateTime(message.sendTimeMs)}</span>
            <p dir="auto">{messageLine({ ...message, senderId: props.viewer.selfId }, props.viewer)}</p>
            <StateLine message={message} />
            <div class="scheduled-actions">
              <button type="button" class="plain" disabled={!isOpen(message)} onClick={() => setChanged(message)}>
                {t("scheduled.change")}
              </button>
              <button type="button" class="plain" disabled={!isOpen(message)} onClick={() => attempt(scheduled.sendNow(message))}>
                {t("scheduled.now")}
              </button>
              <button type="button" class="plain danger" disabled={message.state === "sending"} onClick={() => attempt(scheduled.cancel(message))}>
                {t("scheduled.delete")}
              </button>
            </div>
          </li>
        ))}
      </ul>
      {messages.length === 0 && <p class="quiet">{t("scheduled.none")}</p>}
      <ProblemLine problem={problem} />
      {changed && <ChangeDialog {...props} message={changed} onClose={() => setChanged(undefined)} />}
    </Modal>
  );
}

const isOpen = ({ state }: ScheduledMessage): boolean => state === "waiting" || state === "refused";

/** What is to be known of it beside its time. */
function StateLine({ message }: { message: ScheduledMessage }): JSX.Element | null {
  switch (message.state) {
    case "refused":
      return <p class="problem">{t("scheduled.refused", { line: made(lineOf(message.problem)) })}</p>;
    case "held":
      return <p class="quiet">{t("scheduled.held")}</p>;
    case "sending":
      return <p class="quiet">{t("message.sending")}</p>;
    case "waiting":
      return null;
  }
}

interface ChangeProps extends ScheduledProps {
  readonly message: ScheduledMessage;
  readonly onClose: () => void;
}

/** Another time, another text, or both. */
function ChangeDialog({ client, conversation, viewer, message, onClose }: ChangeProps): JSX.Element {
  const text = message.content.kind === "text" ? message.content.text : undefined;
  const act = (sendTimeMs: number, words: string): Promise<void> => {
    const { replyToSeq, attachments } = message;
    const entities = findEntities(words, peopleOf(conversation, viewer), client.limits.textEntities);
    const { preview } = message.content.kind === "text" ? message.content : {};
    const stays = entities.some((entity) => entity.kind === "link" && entity.url === preview?.url);
    const draft = { text: words, entities, preview: stays ? preview : undefined, replyToSeq, attachments };
    return client.scheduled.change(message, { sendTimeMs, draft: text === undefined || words === text ? undefined : draft });
  };
  const mayBeEmpty = message.attachments.length > 0;
  // The time of what was refused is over: to save it as it is would send it at once.
  const sendTimeMs = message.state === "refused" ? nextHourMs() : message.sendTimeMs;
  return <ScheduleDialog title={t("scheduled.change")} verb={t("save")} {...{ text, mayBeEmpty, sendTimeMs, act, onClose }} />;
}
