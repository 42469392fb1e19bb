import type { JSX } from "preact";
import type { ParleyClient, Upload } from "@parley/client";
import { Icon } from "./icons";
import { previews } from "./previews";
import { lineOf, sizeLine, t } from "./text";

interface UploadListProps {
  readonly client: ParleyClient;
  readonly uploads: readonly Upload[];
}

/** The files that go with the next message. */
export function UploadList({ client, uploads }: UploadListProps): JSX.Element | null {
  if (uploads.length === 0) return null;
  return (
    <ul class="tray" aria-label={t("files.sending")}>
      {uploads.map((upload) => (
        <UploadItem key={upload.id} client={client} upload={upload} />
      ))}
    </ul>
  );
}

function UploadItem({ client, upload }: { client: ParleyClient; upload: Upload }): JSX.Element {
  const { id, fileName, state, problem, notice } = upload;
  const preview = previews.of(id);
  return (
    <li class={`tray-item ${state}`}>
      <span class="tray-picture">{preview ? <img src={preview} alt="" /> : <Icon name="file" />}</span>
      <span class="grow">
        <span class="tray-name" dir="auto">
          {fileName}
        </span>
        {problem ? (
          <span class="tray-line danger" role="alert">
            {lineOf(problem)}
          </span>
        ) : (
          <Progress upload={upload} />
        )}
        {notice && !problem && <span class="tray-line quiet">{lineOf(notice)}</span>}
      </span>
      {state === "failed" && (
        <button type="button" class="icon-button" aria-label={t("file.again", { name: fileName })} title={t("try.again")} onClick={() => client.uploads.retry(id)}>
          <Icon name="retry" />
        </button>
      )}
      <button type="button" class="icon-button" aria-label={t(state === "done" ? "file.remove" : "file.cancel", { name: fileName })} title={t("remove")} onClick={() => client.uploads.cancel(id)}>
        <Icon name="close" />
      </button>
    </li>
  );
}

function Progress({ upload }: { upload: Upload }): JSX.Element {
  const { fileName, state, sentBytes, sizeBytes } = upload;
  if (state === "done") return <span class="tray-line quiet">{sizeLine(sizeBytes)}</span>;
  const part = Math.round((100 * sentBytes) / Math.max(1, sizeBytes));
  return (
    <span class="tray-bar" role="progressbar" aria-label={t("file.sending", { name: fileName })} aria-valuemin={0} aria-valuemax={100} aria-valuenow={part}>
      <span style={{ width: `${part}%` }} />
    </span>
  );
}
