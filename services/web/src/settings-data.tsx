import type { JSX } from "preact";
import { useEffect, useState } from "preact/hooks";
import type { Failure, Job, ParleyClient } from "@parley/client";
import { dateTime } from "./format";
import { useFocusOnce } from "./hooks";
import { Icon } from "./icons";

/** How often the job's state is asked for. Raising it shows the end later; lowering it costs requests, and ends nothing sooner. */
const ASK_MS = 2000;

interface DataSettingsProps {
  readonly client: ParleyClient;
  readonly onDeleted: () => void;
}

/** Taking one's data along, and deleting the account. */
export function DataSettings({ client, onDeleted }: DataSettingsProps): JSX.Element {
  return (
    <section class="settings-section" aria-label="Your data">
      <h3>Your data</h3>
      <Export client={client} />
      <Deletion client={client} onDeleted={onDeleted} />
    </section>
  );
}

function Export({ client }: { client: ParleyClient }): JSX.Element {
  const [job, setJob] = useState<Job | undefined>(undefined);
  const [problem, setProblem] = useState("");
  const take = (request: Promise<Job>): void => {
    setProblem("");
    request.then(setJob, (failure: Failure) => setProblem(failure.line));
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
          Export my data
          <span class="quiet small-print">All your conversations, messages and settings, as files.</span>
        </span>
        {!job && (
          <button type="button" class="secondary" onClick={() => take(client.account.startExport())}>
            Export
          </button>
        )}
        {job && !job.done && (
          <span class="quiet busy-line" role="status">
            <span class="spinner" aria-hidden="true" /> Preparing…
          </span>
        )}
      </div>
      {job?.done && <Parts job={job} />}
      <p class="problem" role="alert">
        {problem}
      </p>
    </div>
  );
}

function Parts({ job }: { job: Job }): JSX.Element {
  const { downloadUrls, expireTimeMs } = job;
  return (
    <>
      <ul class="parts" aria-label="Your export">
        {downloadUrls.map((url, i) => (
          <li key={url}>
            <a href={url} download target="_blank" rel="noopener noreferrer">
              <Icon name="download" />
              {downloadUrls.length === 1 ? "Download" : `Part ${i + 1} of ${downloadUrls.length}`}
            </a>
          </li>
        ))}
      </ul>
      <p class="quiet small-print" role="status">
        {downloadUrls.length === 0 ? "There is nothing to export." : expireTimeMs && `Ready until ${dateTime(expireTimeMs)}.`}
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
        Delete my account
        <span class="quiet small-print">Your messages are taken back, and you leave all groups. This cannot be undone.</span>
      </span>
      <button type="button" class="secondary danger" onClick={() => setAsking(true)}>
        Delete…
      </button>
    </div>
  );
}

function Confirmation({ client, onDeleted, onCancel }: DataSettingsProps & { onCancel: () => void }): JSX.Element {
  const [typed, setTyped] = useState("");
  const [problem, setProblem] = useState("");
  const field = useFocusOnce<HTMLInputElement>();
  const sure = typed.trim() === client.userId;
  const submit = async (event: Event): Promise<void> => {
    event.preventDefault();
    if (!sure) return;
    try {
      await client.account.delete();
      onDeleted();
    } catch (error) {
      setProblem((error as Failure).line);
    }
  };
  return (
    <form class="deletion" onSubmit={(event) => void submit(event)}>
      <label for="confirm-deletion">
        This deletes everything and cannot be undone or stopped. Type <strong>{client.userId}</strong> to confirm.
      </label>
      <div class="field-row">
        <input
          id="confirm-deletion"
          value={typed}
          autocomplete="off"
          autocapitalize="none"
          spellcheck={false}
          ref={field}
          onInput={(event) => setTyped(event.currentTarget.value)}
        />
        <button type="button" class="plain" onClick={onCancel}>
          Cancel
        </button>
        <button type="submit" class="primary danger-fill" disabled={!sure}>
          Delete
        </button>
      </div>
      <p class="problem" role="alert">
        {problem}
      </p>
    </form>
  );
}
