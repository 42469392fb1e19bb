"""What the service takes, as it tells clients: they need no copy of these numbers."""

from parley.messaging.v1.relations_pb2 import Limits

from services.messaging.config import Config
from services.messaging.kernel.checks import MAX_ENTITIES, MAX_TITLE_CHARS
from services.messaging.relations.core.reports import MAX_COMMENT_CHARS, MAX_MESSAGES
from services.messaging.search.core import MAX_QUERY_CHARS


def client_limits(config: Config) -> Limits:
    """Of this deployment: what is configured, and what is fixed."""
    return Limits(
        text_chars=config.text_limit,
        text_entities=MAX_ENTITIES,
        attachments=config.attachments,
        upload_bytes=config.upload_bytes,
        group_members=config.group_members,
        title_chars=MAX_TITLE_CHARS,
        query_chars=MAX_QUERY_CHARS,
        report_messages=MAX_MESSAGES,
        report_comment_chars=MAX_COMMENT_CHARS,
    )
