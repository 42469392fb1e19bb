import type { JSX } from "preact";
import { useEffect, useState } from "preact/hooks";
import type { ParleyClient } from "@parley/client";
import { useOnline } from "./hooks";
import { lineOf, t } from "./text";

const NOTICE_MS = 4000;
/** A short hiccup is not worth a line. */
const CONNECTING_QUIET_MS = 1200;

/** One line about the event stream, when it is not simply there. */
export function StreamLine({ client }: { client: ParleyClient }): JSX.Element | null {
  const { stream } = client;
  const online = useOnline();
  const down = stream.kind === "connecting" || stream.kind === "waiting";
  const [late, setLate] = useState(false);
  useEffect(() => {
    if (!down) return setLate(false);
    const timer = setTimeout(() => setLate(true), CONNECTING_QUIET_MS);
    return () => clearTimeout(timer);
  }, [down]);
  if (stream.kind === "stopped" && stream.reason !== "closed") {
    return (
      <div class="stream-line" role="status">
        <span>{lineOf(stream.failure)}</span>
        {stream.reason === "replaced" && (
          <button type="button" onClick={() => client.start()}>
            {t("stream.elsewhere")}
          </button>
        )}
      </div>
    );
  }
  if (online && (!down || !late)) return null;
  return (
    <div class="stream-line" role="status">
      <span class="spinner" aria-hidden="true" />
      <span>{online ? t("reconnecting") : t("offline")}</span>
    </div>
  );
}

/** A line that goes away by itself. */
export function Notice({ client }: { client: ParleyClient }): JSX.Element {
  const { notice } = client;
  const [gone, setGone] = useState(0);
  useEffect(() => {
    if (!notice) return undefined;
    const timer = setTimeout(() => setGone(notice.id), NOTICE_MS);
    return () => clearTimeout(timer);
  }, [notice]);
  const shown = notice && notice.id !== gone;
  return (
    <div class="notice-area" role="status">
      {shown && <p class="notice">{notice.told ? lineOf(notice.told) : notice.line}</p>}
    </div>
  );
}
