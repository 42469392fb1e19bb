"""What callers may be refused."""


class PushError(Exception):
    """The base of all."""


class TooManyConversations(PushError):
    """So many conversations have a level of their own that another may not get one."""


class ProviderNotServed(PushError):
    """Notices are not sent by this provider here."""
