"""Between what is asked and answered, and the protobufs of parley.hooks.v1."""

from parley.hooks.v1 import service_pb2 as api
from parley.messaging.v1 import messages_pb2

from services.messaging.hooks.core.verdicts import (
    Allow,
    Hold,
    Mask,
    Question,
    Refuse,
    Replace,
    Surface,
    Verdict,
    Writing,
    checked_reason,
)
from services.messaging.hooks.ports import NoAnswer, Problem
from services.messaging.kernel.content import Text
from services.messaging.wire.api import attachment_message
from services.messaging.wire.contents import put_content, read_text
from services.messaging.wire.values import to_timestamp

_WRITINGS = {
    Writing.MESSAGE: api.WRITING_MESSAGE,
    Writing.EDIT: api.WRITING_EDIT,
    Writing.GROUP_TITLE: api.WRITING_GROUP_TITLE,
}
_SURFACES = {
    Surface.REQUEST: api.SURFACE_REQUEST,
    Surface.DIRECT: api.SURFACE_DIRECT,
    Surface.GROUP: api.SURFACE_GROUP,
}


def question_message(question: Question) -> api.CheckMessageRequest:
    """What is asked."""
    is_title = question.writing is Writing.GROUP_TITLE
    message = messages_pb2.Message(
        conversation_id=str(question.conversation_id or ""),
        seq=question.seq,
        sender_id=question.sender_id,
        # What an edit is held under is ours alone.
        client_message_id=question.client_message_id if question.writing is Writing.MESSAGE else "",
        reply_to_seq=question.reply_to_seq,
        attachments=[attachment_message(attachment) for attachment in question.attachments],
        forwarded=question.forwarded,
        view_once=question.view_once,
    )
    if not is_title:
        put_content(message, question.content)
    return api.CheckMessageRequest(
        check_id=str(question.check_id),
        writing=_WRITINGS[question.writing],
        surface=_SURFACES[question.surface],
        message=message,
        title=question.content.text if is_title and isinstance(question.content, Text) else "",
        peer_user_id=question.peer_id or "",
        by_server=question.by_server,
        ask_time=to_timestamp(question.asked_at),
    )


def verdict_of(answer: api.CheckMessageResponse) -> Verdict:
    """What was answered. Raises NoAnswer for no verdict, and for one that this release does not know."""
    match answer.WhichOneof("verdict"):
        case "allow":
            return Allow()
        case "replace":
            text = read_text(answer.replace.text)
            return Replace(Text(text.text, text.entities, preview=text.preview))
        case "mask":
            return Mask([(span.offset, span.length) for span in answer.mask.spans])
        case "hold":
            return Hold(checked_reason(answer.hold.reason))
        case "refuse":
            return Refuse(checked_reason(answer.refuse.reason))
        case _:
            raise NoAnswer(Problem.UNREADABLE, "no verdict that is known")
