"""Formats: codecs with what decides whether a receiver can decode them (profiles, packetization).

Two m-lines fit when the stream of one can be decoded by the other. For H.264 that follows RFC 6184 section 8.1: the
profile names "the subset of coding tools that may have been used", so that a stream of a profile within another's goes
to both, and packetization-mode 1 takes single NAL units (mode 0) too. The level never speaks against it: the lower of
both is used (level-asymmetry-allowed, section 8.2.2). RED (RFC 2198) names in each packet the payload types within, so
that it fits a line with the same number for Opus. Names are like "vp8", "vp9", "vp9/2", "h264/high/1", "red/111".
"""

from collections.abc import Mapping
from functools import lru_cache
from typing import Final, Literal

# Names that are remembered: each is asked for several times an offer, and most offers have the same. Raising it costs
# memory for invented names; lowering it makes an offer cost more.
KEPT_NAMES: Final = 1024

# What all that do video in calls decode (RFC 7742 section 5).
DEFAULT_CODEC_ORDER: Final = ("vp8",)

Codec = Literal["opus", "red", "vp8", "h264", "vp9", "av1"]
# A codec, or a codec and its profile.
Format = str

# Constrained baseline is what every H.264 decoder takes (RFC 7742 section 6.2).
COMMON_H264: Final = "h264/constrained-baseline"
# RFC 6184 section 8.1: without profile-level-id it is Baseline at level 1, without packetization-mode it is 0.
_DEFAULT_PROFILE_LEVEL: Final = "42001f"
# profile_idc, mask and bits of profile-iop, name: table 5 of RFC 6184 section 8.1, and the constrained high profile.
_H264_PROFILES: Final = (
    (0x42, 0x4F, 0x40, "constrained-baseline"),
    (0x4D, 0x8F, 0x80, "constrained-baseline"),
    (0x58, 0xCF, 0xC0, "constrained-baseline"),
    (0x42, 0x4F, 0x00, "baseline"),
    (0x58, 0xCF, 0x80, "baseline"),
    (0x4D, 0xAF, 0x00, "main"),
    (0x58, 0xCF, 0x00, "extended"),
    (0x64, 0xFF, 0x0C, "constrained-high"),
    (0x64, 0xFF, 0x00, "high"),
)
# What a decoder of a profile takes beside its own (ITU-T H.264 annex A.3).
_WITHIN: Final[Mapping[str, tuple[str, ...]]] = {
    "baseline": ("constrained-baseline",),
    "main": ("constrained-baseline",),
    "extended": ("constrained-baseline", "baseline", "main"),
    "constrained-high": ("constrained-baseline",),
    "high": ("constrained-high", "main", "constrained-baseline"),
}
_PROFILED: Final[Mapping[str, str]] = {"vp9": "profile-id", "av1": "profile"}


def read_parameters(fmtp: str) -> dict[str, str]:
    """The `name=value` parts of an fmtp line, names in lower case."""
    parts = (part.partition("=") for part in fmtp.split(";"))
    return {name.strip().lower(): value.strip() for name, _, value in parts if name.strip()}


@lru_cache(KEPT_NAMES)
def name_format(codec: Codec, fmtp: str) -> Format:
    """The format of a codec line. An H.264 profile that is not known here fits only itself."""
    if codec == "red":
        within = fmtp.partition("/")[0].strip()
        return f"red/{within}" if within.isascii() and within.isdigit() and len(within) <= 3 else codec
    parameters = read_parameters(fmtp)
    if codec == "h264":
        mode = "1" if parameters.get("packetization-mode", "0") == "1" else "0"
        return f"h264/{_h264_profile(parameters.get('profile-level-id', _DEFAULT_PROFILE_LEVEL))}/{mode}"
    profile = parameters.get(_PROFILED.get(codec, ""), "0")
    return codec if profile == "0" else f"{codec}/{profile}"


def _h264_profile(text: str) -> str:
    lowered = text.lower()
    if len(lowered) != 6 or any(digit not in "0123456789abcdef" for digit in lowered):
        return lowered
    idc, constraints = int(lowered[:2], 16), int(lowered[2:4], 16)
    for profile, mask, bits, name in _H264_PROFILES:
        if idc == profile and constraints & mask == bits:
            return name
    return lowered[:4]


@lru_cache(KEPT_NAMES)
def list_decodable(wanted: Format) -> frozenset[Format]:
    """All formats whose streams a decoder of this one can decode."""
    codec, _, rest = wanted.partition("/")
    if codec != "h264":
        return frozenset((wanted,))
    profile, _, mode = rest.partition("/")
    modes = ("0", "1") if mode == "1" else ("0",)
    return frozenset(f"h264/{name}/{m}" for name in (profile, *_WITHIN.get(profile, ())) for m in modes)


@lru_cache(KEPT_NAMES)
def rank_format(offered: Format, order: tuple[str, ...] = ()) -> tuple[int, int]:
    """The lowest is the best: codecs in the order of a deployment, then by how sure it is that later receivers can
    decode them too. VP8 first (RFC 7742 section 5)."""
    codec = offered.partition("/")[0]
    place = order.index(codec) if codec in order else len(order)
    if offered == "vp8":
        return place, 0
    return place, 2 if codec == "h264" and not offered.startswith(COMMON_H264) else 1


def lower_level(fmtp: str, other: str) -> str:
    """An H.264 fmtp with the lower of both levels (RFC 6184 section 8.2.2), else as it was."""
    own, wanted = (read_parameters(text).get("profile-level-id", "") for text in (fmtp, other))
    try:
        is_lower = int(wanted[4:6], 16) < int(own[4:6], 16)
    except ValueError:
        return fmtp
    return fmtp.replace(own, own[:4] + wanted[4:6]) if is_lower and len(own) == len(wanted) == 6 else fmtp
