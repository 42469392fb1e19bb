"""Which frames of a scalable stream one receiver gets: those that its decode target needs (SVC).

A target is gone over to where the receiver has all that it takes (AV1 RTP specification, sections A.5 to A.7): with a
key frame, or where the frames of the target's chain have all been sent to it. That is before the first frame of a
picture that goes out, so that each picture has one end. No frame goes out that refers to one that was left out.
"""

from typing import Final

from services.sfu.core.wire.codecs import ALL_SPATIAL, ALL_TEMPORAL
from services.sfu.core.wire.dependency_descriptor import NOT_PRESENT, DecodeTarget, Frame, Structure

# Frames of which it is known whether they were sent; a chain looks back 255 (section A.8.2). Raising it costs memory
# for each slot; lowering it asks for key frames that are not needed.
KEPT_FRAMES: Final = 256
_MASK: Final = (1 << KEPT_FRAMES) - 1


class FrameSelection:
    """That of one slot. `target` is what goes through now, None for everything."""

    def __init__(self) -> None:
        self.target: DecodeTarget | None = None
        self._structure: Structure | None = None
        # The best target that is sent.
        self._top: DecodeTarget | None = None
        self._newest = 0
        # By age: the lowest bit is that of the newest frame.
        self._seen = self._sent = 0
        # The chains, by bits, of which all frames have been sent.
        self._intact = 0
        self._timestamp = -1
        self._has_begun = False

    def start(self, frame: Frame, timestamp: int, spatial: int, temporal: int) -> None:
        """A stream begins with its key frame, and with this target."""
        self._structure, self._top = frame.structure, frame.structure.find_top(frame.active)
        self.target = _resolve(frame.structure, spatial, temporal)
        self._newest = frame.number
        self._seen = self._sent = 1
        self._intact = -1
        self._timestamp, self._has_begun = timestamp, True

    def note_sent(self, frame: Frame, timestamp: int) -> None:
        """All frames up to this one have been sent, because everything goes through."""
        step = (frame.number - self._newest) & 0xFFFF
        if step < 0x8000:
            added = (1 << min(step, KEPT_FRAMES)) - 1
            self._sent = (self._sent << step & _MASK if step < KEPT_FRAMES else 0) | added | 1
            self._seen = self._sent
            self._newest = frame.number
        self._structure, self._top = frame.structure, frame.structure.find_top(frame.active)
        self._intact = -1
        self._timestamp, self._has_begun = timestamp, True

    def keep(self, frame: Frame, timestamp: int, spatial: int, temporal: int) -> bool:
        """Whether the next packet of the stream goes out; the layers are those that are wanted."""
        if frame.begins_sequence and frame.starts:
            self.start(frame, timestamp, spatial, temporal)
            return True
        if frame.structure is not self._structure:
            # Its key frame was lost on the way up.
            self._adopt(frame.structure)
        age = (self._newest - frame.number) & 0xFFFF
        if age < KEPT_FRAMES:
            # More of a frame that was decided on.
            return self._sent >> age & 1 == 1
        if timestamp != self._timestamp:
            self._timestamp, self._has_begun = timestamp, False
        self._note_chains(frame)
        self._top = frame.structure.find_top(frame.active)
        if not self._has_begun:
            self._step(self._top, _resolve(frame.structure, spatial, temporal))
        return self._note(frame, 0x10000 - age)

    def keep_late(self, frame: Frame) -> bool:
        """Whether a packet goes out that comes after later ones."""
        if frame.structure is not self._structure:
            return True
        age = (self._newest - frame.number) & 0xFFFF
        if age < KEPT_FRAMES and self._seen >> age & 1:
            return self._sent >> age & 1 == 1
        is_kept = self._is_kept(frame)
        if is_kept and age < KEPT_FRAMES:
            self._seen |= 1 << age
            self._sent |= 1 << age
        return is_kept

    def is_last(self, frame: Frame) -> bool:
        """Whether a packet that goes out is the last one of its picture that does."""
        return self.target is not None and frame.ends and frame.spatial == self.target.spatial

    def is_stuck(self, spatial: int, temporal: int) -> bool:
        """Whether only a key frame lets the receiver have these layers."""
        if self._structure is None or self._top is None:
            return False
        goal = _resolve(self._structure, spatial, temporal) or self._top
        present = self.target or self._top
        return goal.spatial != present.spatial and not self._is_intact(goal)

    def _adopt(self, structure: Structure) -> None:
        self._structure = structure
        if self.target is not None:
            self.target = structure.find_target(self.target.spatial, self.target.temporal)

    def _is_kept(self, frame: Frame) -> bool:
        """Whether the target needs a frame, and nothing that it refers to was left out."""
        if self.target is not None and frame.indication(self.target) == NOT_PRESENT:
            return False
        left_out = self._seen & ~self._sent
        base = self._newest - frame.number
        return not any(left_out >> ((base + fdiff) & 0xFFFF) & 1 for fdiff in frame.fdiffs)

    def _note(self, frame: Frame, step: int) -> bool:
        is_kept = self._is_kept(frame)
        self._seen = (self._seen << step & _MASK if step < KEPT_FRAMES else 0) | 1
        self._sent = (self._sent << step & _MASK if step < KEPT_FRAMES else 0) | is_kept
        self._newest = frame.number
        self._has_begun = self._has_begun or is_kept
        return is_kept

    def _was_sent(self, frame: Frame, fdiff: int) -> bool:
        age = (self._newest - frame.number + fdiff) & 0xFFFF
        return age < KEPT_FRAMES and self._sent >> age & 1 == 1

    def _note_chains(self, frame: Frame) -> None:
        intact = 0
        for chain, fdiff in enumerate(frame.chain_fdiffs):
            if fdiff == 0 or self._was_sent(frame, fdiff):
                intact |= 1 << chain
        self._intact = intact

    def _is_intact(self, target: DecodeTarget) -> bool:
        return target.chain >= 0 and self._intact >> target.chain & 1 == 1

    def _step(self, top: DecodeTarget, wanted: DecodeTarget | None) -> None:
        """Go over to what is wanted, where all of its chain has been sent.

        Within a spatial layer that is so: temporal layers have the chain of theirs. What refers to frames of before
        that were left out does not go out (`_is_kept`).
        """
        goal, present = wanted or top, self.target or top
        if goal.spatial == present.spatial or self._is_intact(goal):
            self.target = wanted


def _resolve(structure: Structure, spatial: int, temporal: int) -> DecodeTarget | None:
    """The target of these layers; None for everything."""
    if spatial == ALL_SPATIAL and temporal == ALL_TEMPORAL:
        return None
    return structure.find_target(spatial, temporal)
