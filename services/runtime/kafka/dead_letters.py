"""Dead letters: what stands in `<topic>.dlq` for a record that was not handled, or that the broker does not take."""

import asyncio

import structlog

from services.runtime.errors import BusUnavailable, RecordRefused
from services.runtime.kafka.bus import REASON_HEADER, Headers, Outgoing, Publisher
from services.runtime.observability.failures import describe

log = structlog.get_logger()

SUFFIX = ".dlq"
# All headers of ours begin so.
HEADER_PREFIX = "x-parley-dead-letter-"
PARTITION_HEADER = HEADER_PREFIX + "partition"
OFFSET_HEADER = HEADER_PREFIX + "offset"
# Says that the value is not the record's: `cut` (its size follows) or `batch` (raw bytes that cannot be read).
PART_HEADER = HEADER_PREFIX + "part"

# Long enough for any of our own reasons. Raising it lets a hostile record fill headers; lowering it cuts reasons off.
MAX_REASON_BYTES = 500
# What is kept of a record that is too large even for the dead-letter topic. Raising it gets the record refused there
# again; lowering it leaves people less to look at.
KEPT_VALUE_BYTES = 8 * 1024
KEPT_KEY_BYTES = 512
# Between attempts while the broker is away.
FIRST_RETRY_S, LONGEST_RETRY_S = 0.2, 5.0


def dead_letter(topic: str, key: bytes, value: bytes | None, reason: str, extra: Headers = ()) -> Outgoing:
    """The record for the dead-letter topic of `topic`. A reason of any length and of any characters will do."""
    said = reason.encode("utf-8", "backslashreplace")[:MAX_REASON_BYTES]
    return Outgoing(topic + SUFFIX, key, value, ((REASON_HEADER, said), *extra))


def place(partition: int, offset: int, last_offset: int | None = None) -> Headers:
    """The headers that say where a record stood, or a range of offsets that could not be read."""
    offsets = str(offset) if last_offset in (None, offset) else f"{offset}-{last_offset}"
    return ((PARTITION_HEADER, str(partition).encode()), (OFFSET_HEADER, offsets.encode()))


def shortened(letter: Outgoing) -> Outgoing:
    """The letter with only the head of its key and value."""
    value = letter.value or b""
    part = (PART_HEADER, f"cut of {len(value)}".encode())
    headers = (*((name, said) for name, said in letter.headers if name != PART_HEADER), part)
    return Outgoing(letter.topic, letter.key[:KEPT_KEY_BYTES], value[:KEPT_VALUE_BYTES], headers)


async def post(publisher: Publisher, letter: Outgoing) -> None:
    """Publish a dead letter, shortened where it is too large. One that is refused even then is only logged.

    Errors: BusUnavailable.
    """
    try:
        return await publisher.publish([letter])
    except RecordRefused:
        pass
    try:
        await publisher.publish([shortened(letter)])
    except RecordRefused as error:
        log.critical("dead_letter_lost", topic=letter.topic, error=describe(error))


async def post_patiently(publisher: Publisher, letter: Outgoing) -> None:
    """As `post`, for as long as it takes."""
    delay_s = FIRST_RETRY_S
    while True:
        try:
            return await post(publisher, letter)
        except BusUnavailable as error:
            log.warning("dead_letter_waits", topic=letter.topic, error=describe(error), retry_s=delay_s)
            await asyncio.sleep(delay_s)
            delay_s = min(delay_s * 2, LONGEST_RETRY_S)
