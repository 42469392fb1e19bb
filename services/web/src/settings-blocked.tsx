import type { JSX } from "preact";
import { useState } from "preact/hooks";
import type { Failure, ParleyClient } from "@parley/client";
import { Avatar } from "./avatar";
import { dateTime } from "./format";

interface BlockedPeopleProps {
  readonly client: ParleyClient;
  readonly nameOf: (userId: string) => string;
}

export function BlockedPeople({ client, nameOf }: BlockedPeopleProps): JSX.Element {
  const [problem, setProblem] = useState("");
  const { blocked } = client.relations;
  const unblock = (userId: string): void => {
    setProblem("");
    void client.relations.unblock(userId).catch((failure: Failure) => setProblem(failure.line));
  };
  return (
    <section class="settings-section" aria-label="Blocked people">
      <h3>Blocked people</h3>
      {blocked.length === 0 && <p class="quiet">You have blocked nobody.</p>}
      <ul class="blocked">
        {blocked.map(({ userId, blockTimeMs }) => (
          <li key={userId}>
            <Avatar userId={userId} name={nameOf(userId)} />
            <span class="grow">
              {nameOf(userId)}
              <span class="quiet small-print">Blocked {dateTime(blockTimeMs)}</span>
            </span>
            <button type="button" class="secondary" aria-label={`Unblock ${nameOf(userId)}`} onClick={() => unblock(userId)}>
              Unblock
            </button>
          </li>
        ))}
      </ul>
      <p class="problem" role="alert">
        {problem}
      </p>
    </section>
  );
}
