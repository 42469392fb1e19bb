import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { Avatar } from "./avatar";
import { Icon } from "./icons";
import type { Session } from "./session";
import { fieldDirection, lineOf, t } from "./text";

/** The first page: choose a development user, or type an id. */
export function Login({ session }: { session: Session }): JSX.Element {
  const [userId, setUserId] = useState("");
  const { offered, problem, busy } = session.state;
  const submit = (event: Event): void => {
    event.preventDefault();
    if (userId.trim()) void session.loginDev(userId.trim());
  };
  return (
    <main class="login">
      <div class="login-card">
        <span class="logo">
          <Icon name="bubble" />
        </span>
        <h1>Parley</h1>
        <p class="quiet">{t("login.claim")}</p>
        {offered.map((user) => (
          <button key={user.userId} type="button" class="person" disabled={busy} onClick={() => void session.loginDev(user.userId)}>
            <Avatar userId={user.userId} name={user.name} />
            <span>{t("login.as", { name: user.name })}</span>
          </button>
        ))}
        <form class="login-form" onSubmit={submit}>
          <label for="user-id">{offered.length > 0 ? t("login.other") : t("login.id")}</label>
          <div class="field-row">
            <input
              id="user-id"
              value={userId}
              {...fieldDirection(userId)}
              autocomplete="username"
              autocapitalize="none"
              spellcheck={false}
              onInput={(event) => setUserId(event.currentTarget.value)}
            />
            <button type="submit" class="primary" disabled={busy || !userId.trim()}>
              {t("login.submit")}
            </button>
          </div>
        </form>
        <p class="problem" role="alert">
          {typeof problem === "object" && "words" in problem ? problem.words : lineOf(problem)}
        </p>
      </div>
    </main>
  );
}
