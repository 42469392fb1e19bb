import type { CallView, DeviceProblems, ParleyClient, RemoteParticipant } from "@parley/client";
import { useMemo } from "react";
import { useParley } from "./provider.js";
import { sameFields, sameItems, useSelected } from "./selected.js";

/** What can be done about the call of this device. Each keeps its identity as long as the client. */
export interface CallActions {
  /** Rings a person in the conversation with them; in a group, with an empty id, its members. */
  readonly dial: (conversationId: string, peerUserId: string, video: boolean) => void;
  readonly accept: (video: boolean) => void;
  readonly decline: () => void;
  readonly hangUp: () => void;
  readonly setMuted: (muted: boolean) => Promise<void>;
  readonly setCamera: (on: boolean) => Promise<void>;
  readonly setScreen: (on: boolean) => Promise<void>;
}

export interface CallState extends CallActions {
  readonly view: CallView;
}

const NO_CALL: CallView = {
  phase: "idle",
  conversationId: "",
  call: undefined,
  group: false,
  peerUserId: "",
  video: false,
  muted: true,
  mutedByAdmin: false,
  microphone: undefined,
  camera: undefined,
  screen: undefined,
  remotes: [],
  remote: undefined,
  speakers: [],
  weak: false,
  encryption: "starting",
  unable: [],
  unseen: { of: [], by: [] },
  connection: "idle",
  problem: undefined,
  deviceProblem: undefined,
};

const sameProblems = (before: DeviceProblems | undefined, after: DeviceProblems | undefined): boolean => sameFields(before, after);
const sameRemote = (before: RemoteParticipant | undefined, after: RemoteParticipant | undefined): boolean => sameFields(before, after);
const sameRemotes = (before: readonly RemoteParticipant[], after: readonly RemoteParticipant[]): boolean => sameItems(before, after, sameRemote);
const sameCall = (before: CallView, after: CallView): boolean =>
  sameFields(before, after, { deviceProblem: sameProblems, remote: sameRemote, remotes: sameRemotes, speakers: sameItems, unable: sameItems });

function actionsOf({ calls }: ParleyClient): CallActions {
  return {
    dial: (conversationId, peerUserId, video) => calls.dial(conversationId, peerUserId, video),
    accept: (video) => calls.accept(video),
    decline: () => calls.decline(),
    hangUp: () => calls.hangUp(),
    setMuted: (muted) => calls.setMuted(muted),
    setCamera: (on) => calls.setCamera(on),
    setScreen: (on) => calls.setScreen(on),
  };
}

/** The one call of this device, and what can be done about it. */
export function useCall(): CallState {
  const client = useParley();
  const view = useSelected(({ calls }) => calls.view(), sameCall, NO_CALL);
  const actions = useMemo(() => actionsOf(client), [client]);
  return useMemo(() => ({ view, ...actions }), [view, actions]);
}

/** A call that rings here. */
export interface IncomingCall {
  readonly callId: string;
  readonly conversationId: string;
  readonly callerId: string;
  readonly video: boolean;
  readonly group: boolean;
  /** It rings during another call, which an answer leaves. */
  readonly waiting: boolean;
  readonly accept: (video: boolean) => void;
  readonly decline: () => void;
}

type Ringing = Omit<IncomingCall, "accept" | "decline">;

function readRinging({ calls }: ParleyClient): Ringing | undefined {
  const { phase, call } = calls.view();
  const waiting = calls.waiting();
  const ringing = waiting ?? (phase === "ringing" ? call : undefined);
  if (!ringing) return undefined;
  const { id: callId, conversationId, callerId, video, group } = ringing;
  return { callId, conversationId, callerId, video, group, waiting: waiting !== undefined };
}

/** The call that rings here, if one does; also one that rings during another call. */
export function useIncomingCall(): IncomingCall | undefined {
  const client = useParley();
  const ringing = useSelected(readRinging, sameFields, undefined);
  return useMemo(() => {
    if (!ringing) return undefined;
    const { calls } = client;
    const accept = (video: boolean): void => (ringing.waiting ? calls.answerWaiting(video) : calls.accept(video));
    const decline = (): void => (ringing.waiting ? calls.declineWaiting() : calls.decline());
    return { ...ringing, accept, decline };
  }, [client, ringing]);
}
