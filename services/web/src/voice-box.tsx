import type { JSX } from "preact";
import { useState } from "preact/hooks";
import type { Attachment, Message, ParleyClient } from "@parley/client";
import { voiceLine } from "./format";
import { Icon } from "./icons";
import { lineOf, made, type Problem, t } from "./text";

interface VoiceBoxProps {
  readonly client: ParleyClient;
  readonly message: Message;
  readonly sound: Attachment;
  readonly lengthS: number;
}

/** The sound of a message that can be heard as often as one likes; nothing is loaded until somebody wants to hear it. */
export function VoiceBox({ client, message: { conversationId, seq }, sound, lengthS }: VoiceBoxProps): JSX.Element {
  const [address, setAddress] = useState("");
  const [problem, setProblem] = useState<Problem>(undefined);
  const [opening, setOpening] = useState(false);
  const line = voiceLine(lengthS);
  const play = (): void => {
    setOpening(true);
    setProblem(undefined);
    client.downloads.url({ conversationId, seq, attachmentId: sound.id }).then(setAddress, setProblem).finally(() => setOpening(false));
  };
  const onError = (): void => {
    client.downloads.forget(sound.id);
    setAddress("");
    setProblem("voice.unheard");
  };
  return (
    <>
      {address ? (
        <audio class="voice-player" src={address} controls autoplay aria-label={line} onError={onError} />
      ) : (
        <button type="button" class="voice-play" disabled={opening} aria-label={t("voice.play", { line: made(line) })} onClick={play}>
          <Icon name="play" /> {line}
        </button>
      )}
      {problem && <p role="alert">{lineOf(problem)}</p>}
    </>
  );
}
