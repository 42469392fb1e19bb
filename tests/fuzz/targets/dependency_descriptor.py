"""Dependency descriptors: one after another to one reader, each behind a byte that says how long it is."""

from services.sfu.core.wire.dependency_descriptor import DescriptorReader

# A key frame of one layer of 640 x 360, one of three temporal layers, and frames of them.
_KEY = bytes.fromhex("c000078000e4204fe02ce0")
_LAYERS = bytes.fromhex("c00001800214eaaa44104d1410208426")
SEEDS = (
    bytes([len(_KEY)]) + _KEY + bytes.fromhex("03c00008"),
    bytes([len(_LAYERS)]) + _LAYERS + bytes.fromhex("03c30002 03c20003") + bytes.fromhex("05c400046740"),
)


def fuzz(data: bytes) -> None:
    """Raises for what is read out of bounds."""
    reader = DescriptorReader()
    at = 0
    while at < len(data):
        frame = reader.read(data[at + 1 : at + 1 + data[at]])
        at += 1 + data[at]
        if frame is not None:
            structure = frame.structure
            assert structure.targets
            assert len(frame.chain_fdiffs) == structure.chain_count
            assert all(0 <= frame.indication(target) < 4 for target in structure.targets)
            assert all(fdiff > 0 for fdiff in frame.fdiffs)
            assert structure.find_target(frame.spatial, frame.temporal) in structure.targets
