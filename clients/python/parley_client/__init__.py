"""A client of Parley: messages, presence, and calls with media. `ParleyClient` is a user on one device.

A server of the network's back office, with a key of its own, uses `parley_client.server.ServerClient`.
"""

from parley_client.asking import Failure
from parley_client.client import AccessToken, LoginError
from parley_client.conversations import Conversations
from parley_client.entries import Entry, LinkPreview, Poll, Sticker, Voice
from parley_client.history import History
from parley_client.incoming import Incoming
from parley_client.messaging import Draft, NewPoll, NewSticker, NewVoice
from parley_client.stream import StreamEndedError
from parley_client.uploads import TransferError
from parley_client.user_client import ParleyClient, TokenProvider, dev_tokens
from parley_client.waiting import DeadlineMissedError

__all__ = [
    "AccessToken",
    "Conversations",
    "DeadlineMissedError",
    "Draft",
    "Entry",
    "Failure",
    "History",
    "Incoming",
    "LinkPreview",
    "LoginError",
    "NewPoll",
    "NewSticker",
    "NewVoice",
    "ParleyClient",
    "Poll",
    "Sticker",
    "StreamEndedError",
    "TokenProvider",
    "TransferError",
    "Voice",
    "dev_tokens",
]
