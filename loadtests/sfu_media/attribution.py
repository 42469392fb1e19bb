"""What a worker's CPU goes into, from sampled stacks, in the words of who runs it. Pure."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator

ENCRYPTION, ENCRYPTION_CALLS = "encryption (libsrtp)", "encryption (calls of libsrtp)"
SEND, RECEIVE, KERNEL = "kernel: send", "kernel: receive", "kernel: other"
COLLECTOR, LOOP, OTHER = "garbage collector", "event loop", "other threads"
WAY_IN, ROUTING, FEEDBACK = "way in", "routing", "feedback and estimation"
COPIES, WAY_OUT, QUALITY = "filling copies", "way out", "quality and events"
TRANSPORT, JOINS, GRPC = "DTLS and data channels", "joins", "gRPC"
REST = "the SFU's rest"

# Modules of services/sfu, by their last name.
_MODULES = {
    WAY_IN: "worker demux connections ingress udp addresses budgets rtp codecs stats",
    ROUTING: "router calls ssrc_association participants publications slots offsets speakers video_requests effects"
    " effects_runner registry membership slot_updates lifecycle rids speech_level",
    FEEDBACK: "feedback transport_cc downlink estimator overuse probing feedback_timeout queue_delay rtcp uplink nack"
    " layer_selection layer_updates allocator layers arrival_log send_history pacing key_frame_backoff",
    ENCRYPTION_CALLS: "srtp",
    COPIES: "subscribers packet_formats",
    WAY_OUT: "egress batch",
    QUALITY: "quality metrics publisher traces",
    TRANSPORT: "dtls channel connection",
    JOINS: "ice tcp framing sdp media_line codec_formats agreement answer service rpc tokens",
}
_PART_OF = {module: part for part, modules in _MODULES.items() for module in modules.split()}
# C functions, wherever they come from.
_FUNCTIONS = {
    **dict.fromkeys(("sendmmsg", "sendmsg", "sendto", "__libc_send", "__libc_sendto"), SEND),
    **dict.fromkeys(("recvmmsg", "recvmsg", "recvfrom", "__libc_recvfrom"), RECEIVE),
    **dict.fromkeys(("read", "readv", "write", "writev", "syscall"), KERNEL),
    **dict.fromkeys(("gc_collect_main", "gc_collect_with_callback"), COLLECTOR),
    "uv_run": LOOP,
}
# Libraries, by how their frames' files begin.
_LIBRARIES = {
    **dict.fromkeys(("aiortc", "OpenSSL", "cryptography"), TRANSPORT),
    "pylibsrtp": ENCRYPTION,
    "aioice": JOINS,
    "grpc": GRPC,
}
# Where a thread sleeps: a sample that ends there saw it about to sleep or just woken.
_WAITS = {
    *("epoll_wait", "epoll_pwait", "poll", "ppoll", "select", "pselect", "nanosleep", "clock_nanosleep"),
    *("pthread_cond_wait", "pthread_cond_timedwait", "sem_wait", "sem_timedwait", "sem_clockwait"),
}
_FRAME = re.compile(r"(?P<function>.*?)(?: \((?P<file>[^()]*)\))?$")
_OURS = re.compile(r"services/sfu/(?:.*/)?(?P<module>\w+)\.py$")
# mypyc: CPyDef_<module>___<class>___<method>, CPyPy_ for the same as Python calls it.
_COMPILED = re.compile(r"CPy(?:Def|Py)_(?P<path>\w+)")


def shares_of(folded: Iterable[str]) -> tuple[dict[str, float], int]:
    """Shares of the CPU by part, largest first, and the samples that they are of.

    `folded` has a line a stack, outermost frame first, as `frame;frame;... count`; a frame is `function (file)`.
    A stack counts for its innermost frame that has a part. Stacks of sleeping threads do not count.
    """
    counts: Counter[str] = Counter()
    for line in folded:
        stack, _, count = line.rstrip().rpartition(" ")
        if stack and not is_asleep(stack):
            counts[part_of(stack)] += int(count)
    total = counts.total()
    return {part: round(count / total, 3) for part, count in counts.most_common()}, total


def is_asleep(stack: str) -> bool:
    """Whether the stack ends in a wait."""
    return next(_frames(stack))[0] in _WAITS


def part_of(stack: str) -> str:
    """The part that a stack counts for; OTHER without any frame that has one."""
    for function, file in _frames(stack):
        if function in _FUNCTIONS:
            return _FUNCTIONS[function]
        if function.startswith("srtp_"):
            return ENCRYPTION
        if (library := file.partition("/")[0]) in _LIBRARIES:
            return _LIBRARIES[library]
        if (own := _OURS.search(file)) is not None:
            return _PART_OF.get(own["module"], REST)
        if (compiled := _COMPILED.match(function)) is not None:
            # The module comes first, after as many of its packages as make it unique among those compiled.
            return next((_PART_OF[name] for name in compiled["path"].split("___") if name in _PART_OF), REST)
    return OTHER


def _frames(stack: str) -> Iterator[tuple[str, str]]:
    """Function and file of each frame, the innermost first."""
    for frame in reversed(stack.split(";")):
        if (found := _FRAME.match(frame)) is not None:
            yield found["function"], found["file"] or ""
