import { type CallView, joined, type VideoRequest } from "@parley/client";
import { type ReactElement, useEffect } from "react";
import { Avatar } from "./avatar.js";
import { type CallState, type IncomingCall, useCall, useIncomingCall } from "./call-hooks.js";
import { CallTile, TrackSound } from "./call-tile.js";
import { classes } from "./class-names.js";
import { useFace } from "./conversation-hooks.js";
import { duration } from "./format.js";
import { useNames, useNow, usePerson } from "./hooks.js";
import type { Labels } from "./labels.js";
import { useLabels, useLocale, useParley } from "./provider.js";

export interface CallProps {
  readonly labels?: Partial<Labels>;
  readonly className?: string;
}

/** The call of this device: one that rings, as a bar, and one that runs, with its pictures. Nothing while there is none. */
export function Call({ labels: own, className }: CallProps): ReactElement | null {
  const labels = useLabels(own);
  const call = useCall();
  const incoming = useIncomingCall();
  const running = call.view.phase !== "idle" && call.view.phase !== "ringing";
  if (!incoming && !running) return null;
  return (
    <div className={classes("parley", "parley-calls", className)}>
      {incoming && <Incoming call={incoming} labels={labels} />}
      {running && (call.view.phase === "dropped" ? <Dropped call={call} labels={labels} /> : <Running call={call} labels={labels} />)}
    </div>
  );
}

function Incoming({ call, labels }: { call: IncomingCall; labels: Labels }): ReactElement {
  const face = useFace(call.conversationId);
  const caller = usePerson(call.callerId);
  const name = (call.group && face.name) || caller.name;
  const line = labels.incomingCall(name, call.video);
  return (
    <section className="parley-incoming" aria-label={line}>
      <Avatar name={name} url={call.group ? face.avatarUrl : caller.avatarUrl} />
      <p className="parley-incoming-line" role="alert">
        {line}
      </p>
      <button type="button" className="parley-button parley-hang-up" onClick={() => call.decline()}>
        {labels.decline}
      </button>
      <button type="button" className="parley-button parley-answer" onClick={() => call.accept(false)}>
        {labels.answer}
      </button>
      {call.video && (
        <button type="button" className="parley-button parley-answer" onClick={() => call.accept(true)}>
          {labels.answerWithVideo}
        </button>
      )}
    </section>
  );
}

/** The page was closed in a call, which goes on without it. */
function Dropped({ call, labels }: { call: CallState; labels: Labels }): ReactElement {
  const name = useCallName(call.view, labels);
  return (
    <section className="parley-incoming" aria-label={labels.droppedCall(name)}>
      <p className="parley-incoming-line" role="alert">
        {labels.droppedCall(name)}
      </p>
      <button type="button" className="parley-button parley-hang-up" onClick={() => call.hangUp()}>
        {labels.hangUp}
      </button>
      <button type="button" className="parley-button parley-answer" onClick={() => call.accept(call.view.video)}>
        {labels.returnToCall}
      </button>
    </section>
  );
}

function Running({ call, labels }: { call: CallState; labels: Labels }): ReactElement {
  const { view } = call;
  const client = useParley();
  const name = useCallName(view, labels);
  const others = othersIn(view, client.userId);
  const names = useNames(others);
  const ended = view.phase === "ended";
  useVideoRequests(others, view.connection === "connected");
  return (
    <section className="parley-call" aria-label={labels.call(name)}>
      <header className="parley-call-head">
        <bdi className="parley-call-name">{name}</bdi> <Status view={view} name={name} labels={labels} />
      </header>
      {!ended && (
        <ul className="parley-tiles" aria-label={labels.people}>
          {view.remotes.map(({ userId, screen }) => screen && <CallTile key={`${userId} screen`} userId={userId} name={names[others.indexOf(userId)] ?? userId} video={screen} screen labels={labels} />)}
          {others.map((userId, i) => {
            const remote = view.remotes.find((found) => found.userId === userId);
            const video = remote?.videoMuted === false ? remote.video : undefined;
            // Whether somebody without an audio slot is muted is not known.
            const muted = remote?.audioMid !== undefined && remote.audioMuted;
            return <CallTile key={userId} userId={userId} name={names[i] ?? userId} video={video} muted={muted} speaking={view.speakers.includes(userId)} labels={labels} />;
          })}
          <CallTile userId={client.userId} name={labels.you} video={view.camera} muted={view.muted} speaking={view.speakers.includes(client.userId)} own labels={labels} />
        </ul>
      )}
      {view.remotes.flatMap(({ audio, screenSound }) => [audio, screenSound]).map((track) => track && <TrackSound key={track.id} track={track} />)}
      {view.deviceProblem && <p className="parley-problem" role="status">{view.deviceProblem.line}</p>}
      {!ended && <Controls call={call} labels={labels} />}
    </section>
  );
}

function Controls({ call, labels }: { call: CallState; labels: Labels }): ReactElement {
  const { muted, camera } = call.view;
  return (
    <div className="parley-call-controls">
      <button type="button" className="parley-button" onClick={() => void call.setMuted(!muted)}>
        {muted ? labels.unmute : labels.mute}
      </button>
      <button type="button" className="parley-button" onClick={() => void call.setCamera(!camera)}>
        {camera ? labels.cameraOff : labels.cameraOn}
      </button>
      <button type="button" className="parley-button parley-hang-up" onClick={() => call.hangUp()}>
        {labels.hangUp}
      </button>
    </div>
  );
}

/** How the call stands. Its length is not read out with each second. */
function Status({ view, name, labels }: { view: CallView; name: string; labels: Labels }): ReactElement {
  const locale = useLocale();
  const nowMs = useNow(1000);
  const line = statusLine(view, name, labels);
  const since = view.call?.answerTimeMs;
  const length = !line && since !== undefined && nowMs !== undefined ? duration((nowMs - since) / 1000, locale) : "";
  return (
    <>
      <span role="status">{line}</span>
      {length && <span className="parley-time">{length}</span>}
    </>
  );
}

const LOST: readonly CallView["connection"][] = ["interrupted", "rejoining", "waiting"];

/** Empty while the call runs as it should. */
function statusLine({ phase, connection, call, problem, group, peerUserId }: CallView, name: string, labels: Labels): string {
  if (phase === "ended") return problem ? labels.told(problem) : labels.callEnded(call?.endReason, name, call?.callerId !== peerUserId, group);
  if (phase === "starting") return labels.calling;
  if (phase === "calling") return labels.ringing;
  if (LOST.includes(connection)) return labels.reconnecting;
  return phase === "accepting" || connection !== "connected" ? labels.connecting : "";
}

function useCallName({ group, peerUserId, conversationId }: CallView, labels: Labels): string {
  const face = useFace(conversationId);
  const peer = usePerson(peerUserId);
  return group ? face.name || labels.groupCall : peer.name;
}

/** Who is in the call beside this user; of two people the other one, also while it rings. */
function othersIn({ call, group, peerUserId }: CallView, selfId: string): readonly string[] {
  if (!group) return [peerUserId];
  return (call ? joined(call) : []).map(({ userId }) => userId).filter((userId) => userId !== selfId);
}

/** The largest useful height of a picture among several people, and among many. */
const [HEIGHT_PX, SMALL_PX] = [360, 180];
/** So many others are many. Raising it: larger pictures for more people; lowering it: less to receive. */
const MANY = 6;

/** Tells the SFU which pictures are shown. In a call of two it sends what there is. */
function useVideoRequests(others: readonly string[], connected: boolean): void {
  const client = useParley();
  const key = others.join("\n");
  useEffect(() => {
    const userIds = key.split("\n");
    if (userIds.length < 2 || !connected) return;
    const maxHeight = userIds.length > MANY ? SMALL_PX : HEIGHT_PX;
    const of = (screen: boolean) => (userId: string): VideoRequest => ({ userId, screen, maxHeight: screen ? 0 : maxHeight, pinned: screen });
    client.calls.requestVideo([...userIds.map(of(true)), ...userIds.map(of(false))]);
  }, [client, key, connected]);
}

export interface CallButtonsProps extends CallProps {
  readonly conversationId: string;
}

/** Starts a call in a conversation, or joins the one that a group has. Both rest during a call. */
export function CallButtons({ conversationId, labels: own, className }: CallButtonsProps): ReactElement {
  const client = useParley();
  const labels = useLabels(own);
  const face = useFace(conversationId);
  const { view, dial } = useCall();
  const busy = view.phase !== "idle" && view.phase !== "ended";
  const start = (video: boolean): void => {
    const running = face.peerUserId === undefined ? client.calls.runningIn(conversationId) : undefined;
    if (running) client.calls.join(running, video);
    else dial(conversationId, face.peerUserId ?? "", video);
  };
  return (
    <div className={classes("parley", "parley-call-buttons", className)}>
      <button type="button" className="parley-button" disabled={busy || !face.name} onClick={() => start(false)}>
        {labels.voiceCall(face.name)}
      </button>
      <button type="button" className="parley-button" disabled={busy || !face.name} onClick={() => start(true)}>
        {labels.videoCall(face.name)}
      </button>
    </div>
  );
}
