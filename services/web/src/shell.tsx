import type { JSX } from "preact";
import { useCallback, useEffect, useMemo, useState } from "preact/hooks";
import type { Folder, Message, ParleyClient } from "@parley/client";
import { folderOf, isMuted } from "@parley/client";
import { Avatar } from "./avatar";
import { CallEntry } from "./call-entry";
import { CallWaiting } from "./call-waiting";
import { CallWindow } from "./call-window";
import { DeviceNotices } from "./device-notices";
import { ConversationList } from "./conversation-list";
import { ConfirmDialog } from "./confirm-dialog";
import { useChanges, useEscape, useNow } from "./hooks";
import { Icon } from "./icons";
import { IncomingCall } from "./incoming-call";
import { invite } from "./invite-link";
import { NewConversation } from "./new-conversation";
import { SearchField, SearchResults } from "./search";
import { SettingsDialog } from "./settings-dialog";
import { Notice, StreamLine } from "./status-lines";
import { type JumpTarget, Thread } from "./thread";
import { placeOf } from "./window-of-page";
import { t } from "./text";

interface ShellProps {
  readonly client: ParleyClient;
  readonly nameOf: (userId: string) => string;
  readonly onLogout: () => void;
}

/** A name, and so the same in every language. */
const APP = "Parley";

/** The open conversation is part of the address, so that the browser's back button and a reload work. */
function useOpenConversation(): [string, (id: string) => void] {
  const read = (): string => decodeURIComponent(location.hash.replace(/^#\/?/, ""));
  const [id, setId] = useState(read());
  useEffect(() => {
    const update = (): void => setId(read());
    addEventListener("hashchange", update);
    return () => removeEventListener("hashchange", update);
  }, []);
  return [id, useCallback((next: string) => (location.hash = placeOf(next)), [])];
}

function useTitle(unread: number): void {
  const title = unread > 0 ? t("app.unread", { count: unread }) : APP;
  useEffect(() => {
    document.title = title;
  }, [title]);
}

/** Everything behind the login: the list beside the open conversation (on a phone one of them), and the call. */
export function Shell({ client, nameOf, onLogout }: ShellProps): JSX.Element {
  useChanges(client);
  const nowMs = useNow(30_000);
  const [openId, open] = useOpenConversation();
  const [composing, setComposing] = useState(false);
  const [small, setSmall] = useState(false);
  const [folder, setFolder] = useState<Folder>("inbox");
  const [query, setQuery] = useState("");
  const [target, setTarget] = useState<JumpTarget | undefined>(undefined);
  const [settings, setSettings] = useState(false);
  const notices = useMemo(() => new DeviceNotices(client), [client]);
  const views = client.messaging.store.list();
  const current = client.messaging.store.get(openId);
  const call = client.calls.view();
  const callers = client.messaging.store.get(call.conversationId)?.conversation;
  const asking = call.phase === "ringing" || call.phase === "dropped";
  const calling = !asking && call.phase !== "idle";
  const covered = asking || (calling && !small);
  useEffect(() => setSmall(false), [calling]);
  const unread = useMemo(() => {
    const loud = views.filter(({ own }) => folderOf(own) === "inbox" && !isMuted(own, nowMs));
    return loud.reduce((sum, view) => sum + view.unread, 0);
  }, [views, nowMs]);
  useEffect(() => {
    // The page has what it needs first: the code of calls comes before somebody rings.
    if (client.messaging.ready) client.prepareCalls();
  }, [client.messaging.ready]);
  useEffect(() => {
    notices.open(open);
    return () => notices.close();
  }, [notices]);
  useEffect(() => {
    // For the levels of conversations. Without an answer their menu does without.
    if (client.stream.kind === "live" && !client.notifications.current) void client.notifications.refresh().catch(() => undefined);
  }, [client.stream.kind]);
  useTitle(unread);
  const jumpTo = ({ conversationId, seq }: Message): void => {
    open(conversationId);
    setTarget({ conversationId, seq });
  };
  useEscape(composing ? () => setComposing(false) : undefined);
  return (
    <div class={`shell ${current ? "has-open" : ""}`}>
      <aside class="side" aria-label={t("conversations")} inert={covered}>
        <SideHeader client={client} nameOf={nameOf} onNew={() => setComposing(!composing)} onLogout={onLogout} composing={composing} onSettings={() => setSettings(true)} />
        <StreamLine client={client} />
        {composing && (
          <NewConversation
            client={client}
            onOpen={(id) => {
              setComposing(false);
              open(id);
            }}
          />
        )}
        <SearchField label={t("search.messages")} value={query} maxChars={client.limits.queryChars} onChange={setQuery} />
        {query.trim() ? (
          <div class="list">
            <SearchResults client={client} query={query} viewer={{ selfId: client.userId, nameOf }} nowMs={nowMs} onChoose={jumpTo} />
          </div>
        ) : (
          <ConversationList {...{ client, views, folder, setFolder, openId, nameOf, nowMs }} onOpen={open} />
        )}
      </aside>
      <main class="main" inert={covered}>
        {current ? (
          <Thread
            key={openId}
            {...{ client, nameOf, nowMs }}
            view={current}
            target={target?.conversationId === openId ? target : undefined}
            setTarget={setTarget}
            onClose={() => open("")}
          />
        ) : (
          <EmptyState loading={!client.messaging.ready} />
        )}
      </main>
      {asking && <IncomingCall {...{ client, call, nameOf }} conversation={callers} />}
      {calling && <CallWindow {...{ client, call, nameOf, small, setSmall }} conversation={callers} />}
      {calling && <CallWaiting client={client} nameOf={nameOf} />}
      {client.messaging.ready && !covered && <Invitation client={client} onOpen={open} />}
      {client.messaging.ready && <CallEntry {...{ client, nameOf }} onOpen={open} covered={covered || client.calls.busy} />}
      {settings && <SettingsDialog {...{ client, notices, nameOf }} onClose={() => setSettings(false)} onDeleted={onLogout} />}
      <Notice client={client} />
    </div>
  );
}

/** Asks a user who opened an invite link. Joining shows them to the group, so opening a link is not enough. */
function Invitation({ client, onOpen }: { client: ParleyClient; onOpen: (id: string) => void }): JSX.Element | null {
  const [token, setToken] = useState(invite.read);
  if (!token) return null;
  const close = (): void => {
    invite.clear();
    setToken("");
  };
  const join = async (): Promise<void> => {
    const id = await client.groups.join(token);
    close();
    onOpen(id);
  };
  return <ConfirmDialog title={t("join.ask")} body={t("join.hint")} verb={t("join")} act={join} onClose={close} />;
}

interface SideHeaderProps extends ShellProps {
  readonly onNew: () => void;
  readonly composing: boolean;
  readonly onSettings: () => void;
}

function SideHeader({ client, nameOf, onNew, onLogout, composing, onSettings }: SideHeaderProps): JSX.Element {
  const name = nameOf(client.userId);
  return (
    <header class="side-header">
      <Avatar userId={client.userId} name={name} online={client.stream.kind === "live"} />
      <h1 class="grow">
        <bdi>{name}</bdi>
      </h1>
      <button type="button" class="icon-button" aria-label={t("new.title")} aria-expanded={composing} title={t("new.title")} onClick={onNew}>
        <Icon name="plus" />
      </button>
      <button type="button" class="icon-button" aria-label={t("settings")} title={t("settings")} aria-haspopup="dialog" onClick={onSettings}>
        <Icon name="sliders" />
      </button>
      <button type="button" class="icon-button" aria-label={t("logout")} title={t("logout")} onClick={onLogout}>
        <Icon name="leave" />
      </button>
    </header>
  );
}

function EmptyState({ loading }: { loading: boolean }): JSX.Element {
  return (
    <div class="empty">
      <Icon name="bubble" />
      <p>{loading ? t("loading") : t("main.empty")}</p>
    </div>
  );
}
