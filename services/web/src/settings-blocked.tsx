import type { JSX } from "preact";
import { useState } from "preact/hooks";
import type { ParleyClient } from "@parley/client";
import { Avatar } from "./avatar";
import { dateTime } from "./format";
import { ProblemLine } from "./problem-line";
import { made, type Problem, t } from "./text";

interface BlockedPeopleProps {
  readonly client: ParleyClient;
  readonly nameOf: (userId: string) => string;
}

export function BlockedPeople({ client, nameOf }: BlockedPeopleProps): JSX.Element {
  const [problem, setProblem] = useState<Problem>(undefined);
  const { blocked } = client.relations;
  const unblock = (userId: string): void => {
    setProblem(undefined);
    void client.relations.unblock(userId).catch(setProblem);
  };
  return (
    <section class="settings-section" aria-label={t("blocked.title")}>
      <h3>{t("blocked.title")}</h3>
      {blocked.length === 0 && <p class="quiet">{t("blocked.none")}</p>}
      <ul class="blocked">
        {blocked.map(({ userId, blockTimeMs }) => (
          <li key={userId}>
            <Avatar userId={userId} name={nameOf(userId)} />
            <span class="grow">
              <bdi>{nameOf(userId)}</bdi>
              <span class="quiet small-print">{t("blocked.since", { time: made(dateTime(blockTimeMs)) })}</span>
            </span>
            <button type="button" class="secondary" aria-label={t("unblock.name", { name: nameOf(userId) })} onClick={() => unblock(userId)}>
              {t("unblock")}
            </button>
          </li>
        ))}
      </ul>
      <ProblemLine problem={problem} />
    </section>
  );
}
