import type { JSX } from "preact";
import { useId, useRef, useState } from "preact/hooks";
import type { Failure, Message, ParleyClient, Poll } from "@parley/client";
import { choiceOf, votersOf } from "@parley/client";
import { listNames, type Viewer } from "./conversation-text";
import { made, numberLine, t } from "./text";

interface PollBoxProps {
  readonly client: ParleyClient;
  readonly message: Message;
  readonly poll: Poll;
  readonly viewer: Viewer;
}

/** The options of a poll, with who chose them; one's own choice is changed there. */
export function PollBox({ client, message, poll, viewer }: PollBoxProps): JSX.Element {
  const id = useId();
  const { choice, vote } = useVote(client, message, poll);
  const most = Math.max(1, votersOf(poll));
  const toggle = (index: number): void => {
    if (!poll.multiple) return vote([index]);
    vote(choice.includes(index) ? choice.filter((one) => one !== index) : [...choice, index]);
  };
  return (
    <fieldset class="poll" data-testid="poll">
      <legend dir="auto">{poll.question}</legend>
      <p class="poll-hint">{poll.multiple ? t("poll.several") : t("poll.one")}</p>
      {poll.options.map(({ text, userIds }, index) => {
        const votes = votesLine(userIds, viewer);
        return (
          <div key={index} class="poll-option" title={votes}>
            <label>
              <input type={poll.multiple ? "checkbox" : "radio"} name={id} checked={choice.includes(index)} aria-describedby={`${id}-${index}`} onChange={() => toggle(index)} />
              <span class="grow" dir="auto">
                {text}
              </span>
              <span class="poll-count" aria-hidden="true">
                {numberLine(userIds.length)}
              </span>
            </label>
            <span class="poll-bar" aria-hidden="true">
              <span style={{ width: `${(100 * userIds.length) / most}%` }} />
            </span>
            <span class="visually-hidden" id={`${id}-${index}`}>
              {votes}
            </span>
          </div>
        );
      })}
      {choice.length > 0 && (
        <button type="button" class="poll-back" onClick={() => vote([])}>
          {t("poll.back")}
        </button>
      )}
    </fieldset>
  );
}

/** How many chose an option, and who. */
function votesLine(userIds: readonly string[], viewer: Viewer): string {
  const count = t("poll.votes", { count: userIds.length });
  return userIds.length === 0 ? count : t("poll.by", { votes: made(count), names: made(listNames(userIds, viewer)) });
}

/** One's own choice, and how to change it: one request at a time, and of what was chosen meanwhile the last counts. */
function useVote(client: ParleyClient, { conversationId, seq }: Message, poll: Poll) {
  const [wish, setWish] = useState<readonly number[] | undefined>(undefined);
  const wanted = useRef<readonly number[] | undefined>(undefined);
  const send = async (): Promise<void> => {
    for (let sent: readonly number[] | undefined; sent !== wanted.current; ) {
      sent = wanted.current;
      if (sent) await client.messaging.vote(conversationId, seq, sent);
    }
  };
  const vote = (choice: readonly number[]): void => {
    const isSending = wanted.current !== undefined;
    wanted.current = choice;
    setWish(choice);
    if (isSending) return;
    send()
      .catch((failure: Failure) => client.showNotice(failure))
      .finally(() => {
        wanted.current = undefined;
        setWish(undefined);
      });
  };
  return { choice: wish ?? choiceOf(poll, client.userId), vote };
}
