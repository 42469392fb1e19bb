import type { JSX } from "preact";
import { useRef, useState } from "preact/hooks";
import type { Failure, ParleyClient } from "@parley/client";
import { isBlank, type NewPoll, POLL_LIMITS } from "@parley/client";
import { maxLength } from "./max-length";
import { Modal } from "./modal";
import { fieldDirection, lineOf, made, numberLine, type Problem, t } from "./text";

interface PollDialogProps {
  readonly client: ParleyClient;
  readonly conversationId: string;
  readonly onClose: () => void;
}

/** A question and its options. There is always an empty field for one more; those that stay empty are left out. */
export function PollDialog({ client, conversationId, onClose }: PollDialogProps): JSX.Element {
  const [question, setQuestion] = useState("");
  const [fields, setFields] = useState<readonly string[]>(["", ""]);
  const [multiple, setMultiple] = useState(false);
  const { busy, problem, send } = useSending(client, conversationId, onClose);
  const options = fields.map((field) => field.trim()).filter((field) => !isBlank(field));
  const isTwice = new Set(options).size < options.length;
  const ready = !busy && !isBlank(question) && options.length >= 2 && !isTwice;
  const change = (at: number, text: string): void => {
    const next = fields.map((field, index) => (index === at ? text : field));
    setFields(isBlank(next.at(-1) ?? "") || next.length >= POLL_LIMITS.options ? next : [...next, ""]);
  };
  const submit = (event: Event): void => {
    event.preventDefault();
    if (ready) void send({ question: question.trim(), options, multiple });
  };
  return (
    <Modal title={t("poll.new")} onClose={onClose}>
      <form class="stacked" onSubmit={submit}>
        <label class="labelled">
          <span>{t("poll.question")}</span>
          <input value={question} {...maxLength(POLL_LIMITS.questionChars)} {...fieldDirection(question)} autocomplete="off" onInput={(event) => setQuestion(event.currentTarget.value)} />
        </label>
        <fieldset class="labelled poll-fields">
          <legend>{t("poll.options")}</legend>
          {fields.map((field, at) => (
            <input
              key={at}
              value={field}
              aria-label={t("poll.option", { number: made(numberLine(at + 1)) })}
              placeholder={t("poll.option", { number: made(numberLine(at + 1)) })}
              {...maxLength(POLL_LIMITS.optionChars)}
              {...fieldDirection(field)}
              autocomplete="off"
              onInput={(event) => change(at, event.currentTarget.value)}
            />
          ))}
        </fieldset>
        <label class="switch-row">
          <span class="grow">{t("poll.multiple")}</span>
          <input type="checkbox" role="switch" checked={multiple} onChange={(event) => setMultiple(event.currentTarget.checked)} />
        </label>
        <p class="problem" role="alert">
          {isTwice ? t("poll.twice") : lineOf(problem)}
        </p>
        <div class="question-buttons">
          <button type="button" class="plain" onClick={onClose}>
            {t("cancel")}
          </button>
          <button type="submit" class="primary" disabled={!ready}>
            {t("composer.send")}
          </button>
        </div>
      </form>
    </Modal>
  );
}

/** Sends under one id for the same, so that a second attempt after a lost answer sends nothing twice. */
function useSending(client: ParleyClient, conversationId: string, onClose: () => void) {
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState<Problem>(undefined);
  const attempt = useRef({ of: "", id: "" });
  const send = async (poll: NewPoll): Promise<void> => {
    const of = JSON.stringify(poll);
    if (attempt.current.of !== of) attempt.current = { of, id: crypto.randomUUID() };
    setBusy(true);
    setProblem(undefined);
    try {
      await client.messaging.sendPoll(conversationId, poll, attempt.current.id);
      onClose();
    } catch (error) {
      setProblem(error as Failure);
    } finally {
      setBusy(false);
    }
  };
  return { busy, problem, send };
}
