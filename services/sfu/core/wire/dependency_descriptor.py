"""The dependency descriptor: which frames of a scalable video need which (AV1 RTP specification, appendix A).

It is a header extension, so that it says the same of frames that are encrypted end to end. Most packets bring three
bytes that name a template; a key frame brings the templates. Indications are kept packed, two bits a decode target.

What cannot be read gives None, and costs no more than its 255 bytes: each step takes bits, of which there are 2,040.
"""

from collections.abc import Sequence
from typing import Final, final

from services.sfu.core.wire.bits import Bits, CutShort

# Layers of each kind that are told apart; browsers have three. Raising these needs more bits in the limits of a slot
# (codecs.py); lowering them takes a stream with more for one without layers.
MAX_SPATIAL: Final = 4
MAX_TEMPORAL: Final = 4
# As many as there are numbers for (section A.8.2).
MAX_TEMPLATES: Final = 64

# The decode target indication (table A.1) of a frame that its target does not need; the others need it.
NOT_PRESENT: Final = 0

# A frame that is no more than this behind is late; what is further behind is of a sender that began anew. Raising it
# takes a new beginning for late frames; lowering it takes late repairs for a new beginning.
MAX_LATE: Final = 1024

_MANDATORY_BYTES: Final = 3


@final
class DecodeTarget:
    """What a receiver can be sent of a stream. `shift`: where its indication is in those of a frame; `chain`: that
    which protects it, -1 without; `bit`: its own among the active ones."""

    __slots__ = ("bit", "chain", "shift", "spatial", "temporal")

    def __init__(self, spatial: int, temporal: int, shift: int, chain: int, bit: int) -> None:
        self.spatial = spatial
        self.temporal = temporal
        self.shift = shift
        self.chain = chain
        self.bit = bit

    def key(self) -> tuple[int, ...]:
        """All of it, to be compared."""
        return self.spatial, self.temporal, self.shift, self.chain, self.bit


@final
class Template:
    """What many frames have in common. `chain_fdiffs`: for each chain, how many frames back its previous one is."""

    __slots__ = ("chain_fdiffs", "fdiffs", "indications", "spatial", "temporal")

    def __init__(
        self, spatial: int, temporal: int, indications: int, fdiffs: tuple[int, ...], chain_fdiffs: tuple[int, ...]
    ) -> None:
        self.spatial = spatial
        self.temporal = temporal
        self.indications = indications
        self.fdiffs = fdiffs
        self.chain_fdiffs = chain_fdiffs

    def key(self) -> tuple[object, ...]:
        """All of it, to be compared."""
        return self.spatial, self.temporal, self.indications, self.fdiffs, self.chain_fdiffs


@final
class Structure:
    """The templates of a coded video sequence, and its decode targets from the poorest, one for each pair of layers.

    `target_count` and `chain_count` are those of the descriptor. `heights` by spatial layer, empty when not told.
    """

    __slots__ = ("chain_count", "heights", "id_offset", "target_count", "targets", "templates")

    def __init__(
        self,
        id_offset: int,
        target_count: int,
        chain_count: int,
        templates: tuple[Template, ...],
        targets: tuple[DecodeTarget, ...],
        heights: tuple[int, ...],
    ) -> None:
        self.id_offset = id_offset
        self.target_count = target_count
        self.chain_count = chain_count
        self.templates = templates
        self.targets = targets
        self.heights = heights

    def find_top(self, active: int) -> DecodeTarget:
        """The best target of those that are sent; an encoder may describe more layers than it has."""
        for target in reversed(self.targets):
            if target.bit & active:
                return target
        return self.targets[-1]

    def find_target(self, spatial: int, temporal: int) -> DecodeTarget:
        """The best target within these layers; the poorest where none is."""
        found = self.targets[0]
        for target in self.targets:
            if target.spatial <= spatial and target.temporal <= temporal:
                found = target
        return found

    def is_same(self, other: "Structure") -> bool:
        """Whether all is the same; an encoder sends what it uses again with each key frame."""
        return self._key() == other._key()

    def _key(self) -> tuple[object, ...]:
        templates, targets = [t.key() for t in self.templates], [t.key() for t in self.targets]
        return self.id_offset, self.target_count, self.chain_count, templates, targets, self.heights


@final
class Frame:
    """What a packet's descriptor says of its frame. `starts`, `ends`: the packet is its first, its last.

    `begins_sequence`: it needs no other frame, and others need it. `active`: the targets that are sent, by their bits.
    """

    __slots__ = (
        "active",
        "begins_sequence",
        "chain_fdiffs",
        "ends",
        "fdiffs",
        "indications",
        "number",
        "spatial",
        "starts",
        "structure",
        "temporal",
    )

    def __init__(
        self,
        flags: int,
        number: int,
        structure: Structure,
        template: Template,
        begins_sequence: bool,
        active: int,
    ) -> None:
        self.starts = flags & 0x80 != 0
        self.ends = flags & 0x40 != 0
        self.number = number
        self.structure = structure
        self.begins_sequence = begins_sequence
        self.active = active
        self.spatial = template.spatial
        self.temporal = template.temporal
        self.indications = template.indications
        self.fdiffs = template.fdiffs
        self.chain_fdiffs = template.chain_fdiffs

    def indication(self, target: DecodeTarget) -> int:
        """What the frame is to a target (table A.1)."""
        return self.indications >> target.shift & 3


def is_late(number: int, newest: int) -> bool:
    """Whether a frame's number is one from before the newest."""
    return 0 < (newest - number) & 0xFFFF <= MAX_LATE


class DescriptorReader:
    """Reads the descriptors of one stream. It keeps the newest structure, and the one before it for late packets."""

    def __init__(self) -> None:
        self._structure: Structure | None = None
        self._former: Structure | None = None
        # The frame that brought the newest structure or set of active targets.
        self._number = 0
        self._active = 0

    def read(self, value: bytes) -> Frame | None:
        """The frame of a packet; None when it cannot be told: cut short, or of templates that are not known."""
        if len(value) < _MANDATORY_BYTES:
            return None
        number = value[1] << 8 | value[2]
        if len(value) == _MANDATORY_BYTES:
            return self._build(value[0], number, False)
        try:
            return self._read_extended(value, number)
        except CutShort:
            return None

    def _build(self, flags: int, number: int, begins_sequence: bool) -> Frame | None:
        for structure in (self._structure, self._former):
            if structure is not None:
                index = (flags - structure.id_offset) & 0x3F
                if index < len(structure.templates):
                    template = structure.templates[index]
                    return Frame(flags, number, structure, template, begins_sequence, self._active)
        return None

    def _read_extended(self, value: bytes, number: int) -> Frame | None:
        bits = Bits(value, 8 * _MANDATORY_BYTES)
        has_structure, has_active = bits.read(1) != 0, bits.read(1) != 0
        custom = bits.read(3)
        if has_structure:
            self._adopt(_read_structure(bits), number)
        frame = self._build(value[0], number, has_structure and value[0] & 0x80 != 0)
        if frame is None:
            return None
        structure = frame.structure
        if has_active:
            frame.active = bits.read(structure.target_count)
            if structure is self._structure and not is_late(number, self._number):
                self._number, self._active = number, frame.active
        if custom & 4:
            frame.indications = bits.read(2 * structure.target_count)
        if custom & 2:
            frame.fdiffs = _read_fdiffs(bits)
        if custom & 1:
            frame.chain_fdiffs = tuple([bits.read(8) for _ in range(structure.chain_count)])
        return frame

    def _adopt(self, structure: Structure, number: int) -> None:
        current = self._structure
        if current is not None and is_late(number, self._number):
            # It comes late, by a repair for one.
            if not current.is_same(structure):
                self._former = structure
            return
        if current is None or not current.is_same(structure):
            self._structure, self._former = structure, current
        self._number, self._active = number, (1 << structure.target_count) - 1


def _read_structure(bits: Bits) -> Structure:
    id_offset, count = bits.read(6), bits.read(5) + 1
    layers = _read_layers(bits)
    indications = [bits.read(2 * count) for _ in layers]
    fdiffs = [_read_template_fdiffs(bits) for _ in layers]
    chain_count = bits.read_below(count + 1)
    chains = [bits.read_below(chain_count) if chain_count else -1 for _ in range(count)]
    chain_fdiffs = [tuple([bits.read(4) for _ in range(chain_count)]) for _ in layers]
    heights: list[int] = []
    if bits.read(1):
        for _ in range(layers[-1][0] + 1):
            bits.read(16)
            heights.append(bits.read(16) + 1)
    templates = tuple(
        [
            Template(spatial, temporal, own, needed, previous)
            for (spatial, temporal), own, needed, previous in zip(
                layers, indications, fdiffs, chain_fdiffs, strict=True
            )
        ]
    )
    return Structure(id_offset, count, chain_count, templates, _find_targets(templates, chains), tuple(heights))


def _read_layers(bits: Bits) -> list[tuple[int, int]]:
    """(spatial, temporal) of each template; the spatial ones rise."""
    layers: list[tuple[int, int]] = []
    spatial = temporal = 0
    while True:
        layers.append((spatial, temporal))
        step = bits.read(2)
        if step == 3:
            return layers
        if step == 1:
            temporal += 1
        elif step == 2:
            spatial, temporal = spatial + 1, 0
        if spatial >= MAX_SPATIAL or temporal >= MAX_TEMPORAL or len(layers) == MAX_TEMPLATES:
            raise CutShort


def _read_template_fdiffs(bits: Bits) -> tuple[int, ...]:
    found = []
    while bits.read(1):
        found.append(bits.read(4) + 1)
    return tuple(found)


def _read_fdiffs(bits: Bits) -> tuple[int, ...]:
    found = []
    while size := bits.read(2):
        found.append(bits.read(4 * size) + 1)
    return tuple(found)


def _find_targets(templates: Sequence[Template], chains: Sequence[int]) -> tuple[DecodeTarget, ...]:
    """The decode targets by the layers of what they need (decode_target_layers), each pair of layers once."""
    found: dict[tuple[int, int], DecodeTarget] = {}
    for index, chain in enumerate(chains):
        shift = 2 * (len(chains) - 1 - index)
        needed = [template for template in templates if template.indications >> shift & 3]
        spatial = max([template.spatial for template in needed], default=0)
        temporal = max([template.temporal for template in needed], default=0)
        found.setdefault((spatial, temporal), DecodeTarget(spatial, temporal, shift, chain, 1 << index))
    return tuple([found[layers] for layers in sorted(found)])
