import type { JSX } from "preact";
import { useEffect, useState } from "preact/hooks";
import { useModalDialog } from "./hooks";
import type { Failure, OpenedLink, ParleyClient, ScheduledEntry } from "@parley/client";
import { joinSecretOf } from "@parley/client";
import { ConfirmDialog } from "./confirm-dialog";
import { DevicesButton } from "./devices-entry";
import { dateTime } from "./format";
import { made, t } from "./text";

interface CallEntryProps {
  readonly client: ParleyClient;
  readonly nameOf: (userId: string) => string;
  readonly onOpen: (conversationId: string) => void;
  /** A call has the page, or rings: the link waits until it is over. */
  readonly covered: boolean;
}

/** Where somebody stands who opened a link. */
type Step =
  | { readonly kind: "asked"; readonly secret: string }
  | { readonly kind: "early"; readonly entry: ScheduledEntry; readonly hostUserId: string }
  | { readonly kind: "lobby"; readonly callId: string; readonly hostUserId: string }
  | { readonly kind: "over" };

const OVER: Step = { kind: "over" };

/** For whoever opened a join link: asks, waits in the lobby where they must, and goes into the call. */
export function CallEntry({ client, nameOf, onOpen, covered }: CallEntryProps): JSX.Element | null {
  const [step, setStep] = useState(firstStep);
  const place = step.kind === "lobby" ? client.joinLinks.place(step.callId)?.state : undefined;
  const begun = step.kind === "early" ? client.joinLinks.placeBy(step.entry.linkId)?.callId : undefined;
  useEffect(() => {
    if (step.kind === "early" && begun) setStep({ kind: "lobby", callId: begun, hostUserId: step.hostUserId });
  }, [step, begun]);
  useEffect(() => {
    // Only at the end, so that a reload before asks again.
    if (step.kind === "over" && joinSecretOf(location.href)) history.replaceState(null, "", `/${location.search}`);
  }, [step.kind]);
  useEffect(() => {
    if (step.kind !== "lobby" || place !== "admitted" || covered) return;
    void client.joinLinks
      .callOf(step.callId)
      .then((call) => client.calls.join(call, call.video))
      .catch((failure: Failure) => client.showNotice(failure))
      .finally(() => setStep(OVER));
  }, [step, place, covered]);
  if (step.kind === "over" || covered) return null;
  if (step.kind === "asked") {
    const open = async (): Promise<void> => {
      const opened = await client.joinLinks.open(step.secret);
      setStep(stepAfter(opened));
      // A member joins in the conversation, when its time has come.
      if (opened.kind === "scheduled" && opened.entry.conversationId) onOpen(opened.entry.conversationId);
      if (opened.kind === "call") client.calls.join(opened.call, opened.call.video);
    };
    // It closes after an answer, too: what that led to stays.
    const close = (): void => setStep((now) => (now === step ? OVER : now));
    return <ConfirmDialog title={t("join.call.ask")} body={t("join.call.hint")} verb={t("join")} act={open} onClose={close} />;
  }
  const give = (id: string): void => {
    void client.joinLinks.leaveLobby(id).catch((failure: Failure) => client.showNotice(failure));
    setStep(OVER);
  };
  if (step.kind === "early") {
    const { title, startTimeMs, scheduledCallId } = step.entry;
    const line = t("join.call.early.hint", { title, time: made(dateTime(startTimeMs)), name: nameOf(step.hostUserId) });
    return <Lobby client={client} line={line} verb={t("join.call.leave")} onClose={() => give(scheduledCallId)} />;
  }
  const leave = (): void => {
    if (place === "waiting") give(step.callId);
    else setStep(OVER);
  };
  const line = place === "refused" ? t("join.call.refused") : place === "closed" ? t("join.call.closed") : t("join.call.waiting.hint", { name: nameOf(step.hostUserId) });
  return <Lobby client={client} line={line} verb={place === "waiting" ? t("join.call.leave") : t("close")} onClose={leave} />;
}

function stepAfter(opened: OpenedLink): Step {
  if (opened.kind === "lobby") return { kind: "lobby", callId: opened.place.callId, hostUserId: opened.hostUserId };
  return opened.kind === "scheduled" && !opened.entry.conversationId ? { kind: "early", entry: opened.entry, hostUserId: opened.hostUserId } : OVER;
}

function firstStep(): Step {
  const secret = joinSecretOf(location.href);
  return secret === undefined ? OVER : { kind: "asked", secret };
}

/** No click beside it closes it: whoever gives up the place needs the link again. */
function Lobby({ client, line, verb, onClose }: { client: ParleyClient; line: string; verb: string; onClose: () => void }): JSX.Element {
  const dialog = useModalDialog();
  return (
    <dialog class="question" ref={dialog} aria-labelledby="lobby-title" onCancel={onClose}>
      <h2 id="lobby-title">{t("join.call.waiting")}</h2>
      <p class="quiet" role="status" data-testid="lobby">
        {line}
      </p>
      <div class="question-buttons">
        <DevicesButton client={client} />
        <button type="button" class="plain" onClick={onClose}>
          {verb}
        </button>
      </div>
    </dialog>
  );
}
