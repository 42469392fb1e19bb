import type { JSX } from "preact";
import { useEffect, useId, useRef, useState } from "preact/hooks";
import type { Calls, DeviceKind, DeviceProblem, Failure, LocalTracks, ParleyClient } from "@parley/client";
import { useChanges } from "./hooks";
import { canChooseSpeaker, type DeviceList, followLevel, type ListedDevice, useDeviceList } from "./media-devices";
import { Modal } from "./modal";
import { deviceLine, type PlainKey, t } from "./text";
import { TrackVideo } from "./track-view";
import "./style/devices.css";

interface DevicesDialogProps {
  readonly client: ParleyClient;
  readonly onClose: () => void;
}

/** What is shown of the devices that a call uses, or would use. */
interface Shown {
  readonly camera: MediaStreamTrack | undefined;
  readonly microphone: MediaStreamTrack | undefined;
  readonly cameraProblem: DeviceProblem | undefined;
  readonly microphoneProblem: DeviceProblem | undefined;
  readonly opening: boolean;
}

const LABELS: Readonly<Record<DeviceKind, PlainKey>> = { microphone: "devices.microphone", camera: "devices.camera", speaker: "devices.speaker" };

/** Which microphone, camera and speaker calls use: with a picture and a level, during a call and before it. Each choice counts at once. */
export function DevicesDialog({ client, onClose }: DevicesDialogProps): JSX.Element {
  useChanges(client);
  const { calls } = client;
  const call = calls.view();
  const inCall = calls.busy && call.phase !== "ringing" && call.phase !== "dropped";
  const preview = usePreview(calls, !inCall);
  const shown: Shown = inCall
    ? { camera: call.camera, microphone: call.microphone, cameraProblem: call.deviceProblem?.camera, microphoneProblem: call.deviceProblem?.microphone, opening: false }
    : { camera: preview?.camera, microphone: preview?.microphone, cameraProblem: preview?.cameraProblem, microphoneProblem: preview?.microphoneProblem, opening: !preview || isOpening(preview) };
  const list = useDeviceList([shown.camera, shown.microphone]);
  const choose = (kind: DeviceKind, id: string): void => {
    const chosen = calls.chooseDevice(kind, id).then(() => (inCall ? undefined : lookAgain(preview, kind)));
    void chosen.catch((failure: Failure) => client.showNotice(failure));
  };
  const problem = deviceLine({ camera: shown.cameraProblem, microphone: shown.microphoneProblem, line: "" });
  const picker = (kind: DeviceKind): JSX.Element => <Picker kind={kind} devices={list[kind]} chosen={calls.deviceChoice[kind] ?? ""} onChoose={(id) => choose(kind, id)} />;
  return (
    <Modal title={t("devices")} onClose={onClose}>
      <div class="devices-picture">{shown.camera ? <TrackVideo track={shown.camera} class="devices-video" label={t("call.camera.own")} /> : <p class="quiet">{t(shown.opening ? "loading" : "devices.dark")}</p>}</div>
      <p class="problem" role="alert">
        {problem}
      </p>
      {picker("camera")}
      {picker("microphone")}
      <Level track={shown.microphone} />
      {inCall && call.muted && shown.microphone && <p class="quiet small-print">{t("devices.muted")}</p>}
      {canShowSpeakers(list) && picker("speaker")}
      <p class="quiet small-print">{t("devices.kept")}</p>
    </Modal>
  );
}

const canShowSpeakers = (list: DeviceList): boolean => canChooseSpeaker() && list.speaker.length > 0;

const isOpening = ({ camera, microphone, cameraProblem, microphoneProblem }: LocalTracks): boolean => !camera && !microphone && !cameraProblem && !microphoneProblem;

/** One that could not be had before is asked for again: another one may be free. */
async function lookAgain(preview: LocalTracks | undefined, kind: DeviceKind): Promise<void> {
  if (kind === "camera") await preview?.setCamera(true);
  if (kind === "microphone") await (preview?.microphone ? preview.reopen(kind) : preview?.setMuted(false));
}

/** Camera and microphone, opened to be looked at; they are free again when the window closes, or a call takes them. */
function usePreview(calls: Calls, wanted: boolean): LocalTracks | undefined {
  const [preview, setPreview] = useState<LocalTracks | undefined>(undefined);
  const [, redraw] = useState(0);
  useEffect(() => {
    if (!wanted) return undefined;
    const opened = calls.preview(() => redraw((count) => count + 1));
    setPreview(opened);
    return () => {
      opened.close();
      setPreview(undefined);
    };
  }, [calls, wanted]);
  return preview;
}

interface PickerProps {
  readonly kind: DeviceKind;
  readonly devices: readonly ListedDevice[];
  /** Empty where the browser chooses. */
  readonly chosen: string;
  readonly onChoose: (id: string) => void;
}

function Picker({ kind, devices, chosen, onChoose }: PickerProps): JSX.Element {
  const hint = useId();
  // Before the names are known nothing is known of what is plugged in.
  const gone = chosen !== "" && devices.length > 0 && devices.every(({ id }) => id !== chosen);
  return (
    <div class="devices-row">
      <label>
        {t(LABELS[kind])}
        <select value={gone || devices.length === 0 ? "" : chosen} aria-describedby={gone ? hint : undefined} onChange={(event) => onChoose(event.currentTarget.value)}>
          <option value="">{t("devices.default")}</option>
          {devices.map(({ id, label }, i) => (
            <option key={id} value={id} dir="auto">
              {label || t("devices.unnamed", { number: i + 1 })}
            </option>
          ))}
        </select>
      </label>
      {gone && (
        <p id={hint} class="quiet small-print">
          {t("devices.gone")}
        </p>
      )}
    </div>
  );
}

/** How loud the microphone is now. It is not read out: it changes all the time. */
function Level({ track }: { track: MediaStreamTrack | undefined }): JSX.Element {
  const meter = useRef<HTMLMeterElement>(null);
  useEffect(() => {
    const show = (level: number): void => {
      if (meter.current) meter.current.value = level;
    };
    const end = track && followLevel(track, show);
    return () => {
      end?.();
      show(0);
    };
  }, [track]);
  return <meter ref={meter} class="devices-level" aria-label={t("devices.level")} min={0} max={1} />;
}
