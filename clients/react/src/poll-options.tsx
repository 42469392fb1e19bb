import { choiceOf, type Message, type Poll } from "@parley/client";
import { type ReactElement, useId, useRef, useState } from "react";
import { classes } from "./class-names.js";
import { number } from "./format.js";
import type { Speaking } from "./message-line.js";
import { useParley } from "./provider.js";

interface PollOptionsProps {
  readonly message: Message;
  readonly poll: Poll;
  readonly speaking: Speaking;
}

/** The options of a poll, with how many chose each; one's own choice is changed there. */
export function PollOptions({ message, poll, speaking: { labels, locale, selfId } }: PollOptionsProps): ReactElement {
  const name = useId();
  const { choice, vote } = useVote(message, poll, selfId);
  const toggle = (index: number): void => {
    if (!poll.multiple) return vote([index]);
    vote(choice.includes(index) ? choice.filter((one) => one !== index) : [...choice, index]);
  };
  return (
    <fieldset className="parley-poll">
      <legend className="parley-hidden">{poll.multiple ? labels.chooseSeveral : labels.chooseOne}</legend>
      {poll.options.map(({ text, userIds }, index) => (
        <label key={index} className={classes("parley-poll-option", choice.includes(index) && "parley-poll-own")}>
          <input type={poll.multiple ? "checkbox" : "radio"} name={name} checked={choice.includes(index)} onChange={() => toggle(index)} />
          <bdi className="parley-poll-text">{text}</bdi>
          <span role="img" aria-label={labels.votes(userIds.length, userIds.includes(selfId))}>
            {number(userIds.length, locale)}
          </span>
        </label>
      ))}
      {choice.length > 0 && (
        <button type="button" className="parley-button" onClick={() => vote([])}>
          {labels.takeVoteBack}
        </button>
      )}
    </fieldset>
  );
}

/** One's own choice, and how to change it: one request at a time, and of what was chosen meanwhile the last counts. */
function useVote({ conversationId, seq }: Message, poll: Poll, selfId: string) {
  const client = useParley();
  const [wish, setWish] = useState<readonly number[]>();
  const wanted = useRef<readonly number[]>(undefined);
  const send = async (): Promise<void> => {
    try {
      for (let sent: readonly number[] | undefined; sent !== wanted.current; ) {
        sent = wanted.current;
        if (sent) await client.messaging.vote(conversationId, seq, sent);
      }
    } catch {
      // What the service has is shown again.
    }
    wanted.current = undefined;
    setWish(undefined);
  };
  const vote = (choice: readonly number[]): void => {
    const isSending = wanted.current !== undefined;
    wanted.current = choice;
    setWish(choice);
    if (!isSending) void send();
  };
  return { choice: wish ?? choiceOf(poll, selfId), vote };
}
