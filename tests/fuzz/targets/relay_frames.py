"""Frames between workers, as they are after decryption: read or refused, and the same once built again."""

from services.sfu.core.errors import PacketError
from services.sfu.core.wire import relay_frames as frames

SEEDS = (
    frames.build_media(1, 1, b"\x80" + bytes(11)),
    frames.build_control(frames.FEEDBACK, 1, bytes.fromhex("81cd0003000000010000000200030005")),
    frames.build_state(
        1,
        2,
        [
            frames.PublicationFacts("0", True, None, (frames.LayerFacts(7, 111, "", 0, (40_000,)),)),
            frames.PublicationFacts("1", True, False, (frames.LayerFacts(8, 96, "q", 180, (100_000, 50_000)),)),
        ],
    ),
    frames.build_wants(1, 2, [frames.WantedLayer("1", "q"), frames.WantedLayer("5", "")]),
)


def fuzz(data: bytes) -> None:
    """Raises for anything but a PacketError, and for what is not the same when it is built again."""
    try:
        kind, number = frames.read_head(data)
        if kind == frames.MEDIA:
            epoch, datagram = frames.read_media(data)
            assert frames.build_media(number, epoch, datagram) == data
        elif kind == frames.STATE:
            version, publications = frames.read_state(data)
            assert len(publications) <= frames.MAX_PUBLICATIONS
            again = frames.read_state(frames.build_state(number, version, publications))
            assert again[1] == _plain(publications)[: len(again[1])]
        elif kind == frames.WANTS:
            version, wanted = frames.read_wants(data)
            assert len(wanted) <= frames.MAX_PUBLICATIONS * frames.MAX_LAYERS
            assert len(frames.read_wants(frames.build_wants(number, version, wanted))[1]) == len(wanted)
    except PacketError:
        return


def _plain(publications: list[frames.PublicationFacts]) -> list[frames.PublicationFacts]:
    """With what is no ASCII as it is sent."""
    return [
        each._replace(
            mid=_ascii(each.mid), layers=tuple(layer._replace(rid=_ascii(layer.rid)) for layer in each.layers)
        )
        for each in publications
    ]


def _ascii(text: str) -> str:
    return text.encode("ascii", "replace").decode()
