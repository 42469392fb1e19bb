import type { JSX } from "preact";
import { useEffect, useState } from "preact/hooks";
import type { Failure, Job, ParleyClient } from "@parley/client";
import { dateTime } from "./format";
import { useFocusOnce } from "./hooks";
import { Icon } from "./icons";
import { ProblemLine } from "./problem-line";
import { fieldDirection, made, parts, type Problem, t } from "./text";

/** How often the job's state is asked for. Raising it shows the end later; lowering it costs requests, and ends nothing sooner. */
const ASK_MS = 2000;

interface DataSettingsProps {
  readonly client: ParleyClient;
  readonly onDeleted: () => void;
}

/** Taking one's data along, and deleting the account. */
export function DataSettings({ client, onDeleted }: DataSettingsProps): JSX.Element {
  return (
    <section class="settings-section" aria-label={t("data.title")}>
      <h3>{t("data.title")}</h3>
      <Export client={client} />
      <Deletion client={client} onDeleted={onDeleted} />
    </section>
  );
}

function Export({ client }: { client: ParleyClient }): JSX.Element {
  const [job, setJob] = useState<Job | undefined>(undefined);
  const [problem, setProblem] = useState<Problem>(undefined);
  const take = (request: Promise<Job>): void => {
    setProblem(undefined);
    request.then(setJob, setProblem);
  };
  useEffect(() => {
    if (!job || job.done) return undefined;
    const timer = setTimeout(() => take(client.account.job(job.id)), ASK_MS);
    return () => clearTimeout(timer);
  }, [job]);
  return (
    <div class="data-row">
      <div class="setting-row">
        <span class="grow">
          {t("export.title")}
          <span class="quiet small-print">{t("export.hint")}</span>
        </span>
        {!job && (
          <button type="button" class="secondary" onClick={() => take(client.account.startExport())}>
            {t("export.start")}
          </button>
        )}
        {job && !job.done && (
          <span class="quiet busy-line" role="status">
            <span class="spinner" aria-hidden="true" /> {t("export.running")}
          </span>
        )}
      </div>
      {job?.done && <Parts job={job} />}
      <ProblemLine problem={problem} />
    </div>
  );
}

function Parts({ job }: { job: Job }): JSX.Element {
  const { downloadUrls, expireTimeMs } = job;
  return (
    <>
      <ul class="parts" aria-label={t("export.files")}>
        {downloadUrls.map((url, i) => (
          <li key={url}>
            <a href={url} download target="_blank" rel="noopener noreferrer">
              <Icon name="download" />
              {downloadUrls.length === 1 ? t("download") : t("export.part", { part: i + 1, parts: downloadUrls.length })}
            </a>
          </li>
        ))}
      </ul>
      <p class="quiet small-print" role="status">
        {downloadUrls.length === 0 ? t("export.nothing") : expireTimeMs && t("export.until", { time: made(dateTime(expireTimeMs)) })}
      </p>
    </>
  );
}

function Deletion({ client, onDeleted }: DataSettingsProps): JSX.Element {
  const [asking, setAsking] = useState(false);
  if (asking) return <Confirmation client={client} onDeleted={onDeleted} onCancel={() => setAsking(false)} />;
  return (
    <div class="setting-row">
      <span class="grow">
        {t("deletion.title")}
        <span class="quiet small-print">{t("deletion.hint")}</span>
      </span>
      <button type="button" class="secondary danger" onClick={() => setAsking(true)}>
        {t("deletion.start")}
      </button>
    </div>
  );
}

function Confirmation({ client, onDeleted, onCancel }: DataSettingsProps & { onCancel: () => void }): JSX.Element {
  const [typed, setTyped] = useState("");
  const [problem, setProblem] = useState<Problem>(undefined);
  const field = useFocusOnce<HTMLInputElement>();
  const sure = typed.trim() === client.userId;
  const submit = async (event: Event): Promise<void> => {
    event.preventDefault();
    if (!sure) return;
    try {
      await client.account.delete();
      onDeleted();
    } catch (error) {
      setProblem(error as Failure);
    }
  };
  return (
    <form class="deletion" onSubmit={(event) => void submit(event)}>
      <label for="confirm-deletion">
        {parts("deletion.confirm", { user: <strong>{client.userId}</strong> })}
      </label>
      <div class="field-row">
        <input
          id="confirm-deletion"
          value={typed}
          {...fieldDirection(typed)}
          autocomplete="off"
          autocapitalize="none"
          spellcheck={false}
          ref={field}
          onInput={(event) => setTyped(event.currentTarget.value)}
        />
        <button type="button" class="plain" onClick={onCancel}>
          {t("cancel")}
        </button>
        <button type="submit" class="primary danger-fill" disabled={!sure}>
          {t("delete")}
        </button>
      </div>
      <ProblemLine problem={problem} />
    </form>
  );
}
