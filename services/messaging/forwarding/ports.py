"""What forwarding needs of the world."""

from typing import Protocol

from services.messaging.kernel.model import Attachment, DraftKey, Message


class Copies(Protocol):
    """The files of what is forwarded."""

    async def share(self, key: DraftKey, message: Message) -> tuple[Attachment, ...]:
        """Uploads of the key's sender that have the bytes of the message's files, in their order. Idempotent by key.

        Errors: AttachmentNotFound when the message has let go of them meanwhile, TooManyUploads, StoreUnavailable.
        """
