"""Join links as protobufs."""

from parley.calls.v1 import messages_pb2

from services.signaling.links.core import JoinLink
from services.signaling.mapping.times import encode_time


def encode_link(link: JoinLink) -> messages_pb2.JoinLink:
    """A link as its hosts are shown it."""
    return messages_pb2.JoinLink(
        link_id=link.link_id,
        call_id=link.call_id or "",
        maker_user_id=link.maker_id,
        create_time=encode_time(link.create_time),
        expire_time=encode_time(link.expire_time),
        revoke_time=encode_time(link.revoke_time),
        scheduled_call_id=link.scheduled_id or "",
    )
