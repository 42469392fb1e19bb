/** One entry of the SFU's slot map. */
export interface Slot {
  readonly mid: string;
  readonly userId: string;
  readonly muted: boolean;
  /** A screen or its sound, not a camera or a microphone. */
  readonly screen: boolean;
}

/** A video that its receiver cannot decode, with its sender or its receiver. */
export interface UnseenPicture {
  readonly userId: string;
  readonly screen: boolean;
}

/** Others' pictures that this device cannot decode, and its own that others cannot. */
export interface Unseen {
  readonly of: readonly UnseenPicture[];
  readonly by: readonly UnseenPicture[];
}

export const ALL_SEEN: Unseen = { of: [], by: [] };

export interface ParticipantSlots {
  readonly userId: string;
  /** MIDs of the receive slots that carry this person now. */
  readonly audioMid: string | undefined;
  readonly videoMid: string | undefined;
  readonly screenMid: string | undefined;
  /** The sound of the screen. */
  readonly screenAudioMid: string | undefined;
  readonly audioMuted: boolean;
  readonly videoMuted: boolean;
}

/**
 * Who is to be heard and seen where, by user.
 *
 * `kinds` says what each MID of one's own offer carries; slots with an unknown MID, or nobody on them, are left out.
 */
export function readSlotMap(slots: readonly Slot[], kinds: ReadonlyMap<string, "audio" | "video">): ParticipantSlots[] {
  const people = new Map<string, ParticipantSlots>();
  for (const slot of slots) {
    const kind = kinds.get(slot.mid);
    if (!kind || !slot.userId) continue;
    const person = people.get(slot.userId) ?? absent(slot.userId);
    const heard = slot.screen ? { ...person, screenAudioMid: slot.mid } : { ...person, audioMid: slot.mid, audioMuted: slot.muted };
    const seen = slot.screen ? { ...person, screenMid: slot.mid } : { ...person, videoMid: slot.mid, videoMuted: slot.muted };
    people.set(slot.userId, kind === "audio" ? heard : seen);
  }
  return [...people.values()];
}

function absent(userId: string): ParticipantSlots {
  return { userId, audioMid: undefined, videoMid: undefined, screenMid: undefined, screenAudioMid: undefined, audioMuted: true, videoMuted: true };
}
