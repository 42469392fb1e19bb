import type { JSX } from "preact";
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import type { ParleyClient } from "@parley/client";
import { duration } from "./format";
import { useNow } from "./hooks";
import { Modal } from "./modal";
import { deviceLine, lineOf, made, type Problem, t } from "./text";
import { VoiceRecorder } from "./voice-recorder";
import "./style/voice.css";

/** How often the length is written anew while it grows. */
const STEP_MS = 250;

export interface VoiceWindowProps {
  readonly client: ParleyClient;
  readonly conversationId: string;
  /** The message that it answers; 0 for none. */
  readonly replyToSeq: number;
  readonly onSent: () => void;
  readonly onClose: () => void;
}

/** Records a voice message, which can be heard before it is sent. It records at once: who opens it has asked for it. */
export function VoiceWindow(props: VoiceWindowProps): JSX.Element {
  const { client, onClose } = props;
  const { recorder, again } = useRecorder(client);
  const { once, setOnce, busy, problem, send } = useSending(props, recorder);
  const { phase, sound, tooShort } = recorder;
  const sendable = sound !== undefined && !tooShort && !busy;
  return (
    <Modal title={t("voice.title")} onClose={onClose}>
      <form
        class="stacked"
        onSubmit={(event) => {
          event.preventDefault();
          if (sendable) void send();
        }}
      >
        <p class="quiet" role="status">
          {stateLine(recorder)}
        </p>
        {phase === "recording" && <Recording recorder={recorder} />}
        {sound && <Recorded body={sound.body} />}
        {sound && (
          <label class="switch-row">
            <span class="grow">{t("voice.once")}</span>
            <input type="checkbox" role="switch" checked={once} onChange={(event) => setOnce(event.currentTarget.checked)} />
          </label>
        )}
        <p class="problem" role="alert">
          {tooShort ? t("voice.short") : phase === "failed" ? failureLine(recorder) : lineOf(problem)}
        </p>
        <div class="question-buttons">
          {(phase === "done" || phase === "failed") && (
            <button type="button" class="plain" disabled={busy} onClick={again}>
              {t("voice.again")}
            </button>
          )}
          {phase === "recording" ? (
            <button key="stop" type="button" class="primary" autofocus onClick={() => recorder.stop()}>
              {t("voice.stop")}
            </button>
          ) : (
            <button key="send" type="submit" class="primary" disabled={!sendable}>
              {t("composer.send")}
            </button>
          )}
        </div>
      </form>
    </Modal>
  );
}

function stateLine({ phase, sound }: VoiceRecorder): string {
  if (phase === "opening") return t("voice.opening");
  if (phase === "recording") return t("voice.recording");
  return sound ? t("message.voice", { length: made(duration(sound.lengthS)) }) : "";
}

function failureLine({ problem }: VoiceRecorder): string {
  return problem ? deviceLine({ camera: undefined, microphone: problem, line: "" }) : t("voice.broken");
}

/** A recording that begins with the window, and the way to begin another one in its place. */
function useRecorder(client: ParleyClient) {
  const [attempt, setAttempt] = useState(0);
  const [, redraw] = useState(0);
  const recorder = useMemo(() => new VoiceRecorder(client, () => redraw((count) => count + 1)), [client, attempt]);
  useEffect(() => () => recorder.close(), [recorder]);
  return { recorder, again: () => setAttempt(attempt + 1) };
}

/** Sends under one id for the same sound, so that a second attempt after a lost answer sends nothing twice. */
function useSending({ client, conversationId, replyToSeq, onSent, onClose }: VoiceWindowProps, recorder: VoiceRecorder) {
  const [once, setOnce] = useState(false);
  const [busy, setBusy] = useState(false);
  const running = useRef(false);
  const [problem, setProblem] = useState<Problem>(undefined);
  const attempt = useRef({ of: recorder, once, id: "" });
  useEffect(() => setProblem(undefined), [recorder]);
  const send = async (): Promise<void> => {
    if (!recorder.sound || running.current) return;
    running.current = true;
    const { of, once: before, id } = attempt.current;
    if (of !== recorder || before !== once || !id) attempt.current = { of: recorder, once, id: crypto.randomUUID() };
    setBusy(true);
    setProblem(undefined);
    try {
      await client.voice.send(conversationId, { ...recorder.sound, viewOnce: once, replyToSeq }, attempt.current.id);
      onClose();
      onSent();
    } catch (error) {
      setProblem(error as Problem);
      setBusy(false);
      running.current = false;
    }
  };
  return { once, setOnce, busy, problem, send };
}

/** Neither the length nor the level is read out: they change all the time. */
function Recording({ recorder }: { recorder: VoiceRecorder }): JSX.Element {
  useNow(STEP_MS);
  return (
    <div class="voice-recording">
      <span class="voice-dot" />
      <span class="voice-length" role="timer" aria-label={t("voice.length")}>
        {duration(Math.floor(recorder.lengthMs / 1000))}
      </span>
      <meter class="grow" aria-label={t("devices.level")} min={0} max={1} value={recorder.level} />
    </div>
  );
}

function Recorded({ body }: { body: Blob }): JSX.Element {
  const [address, setAddress] = useState("");
  useEffect(() => {
    const made = URL.createObjectURL(body);
    setAddress(made);
    return () => URL.revokeObjectURL(made);
  }, [body]);
  return <audio class="voice-recorded" controls src={address || undefined} aria-label={t("voice.listen")} />;
}
