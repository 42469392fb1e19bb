"""Which refusals of PostgreSQL pass by themselves, or by what an operator does about the server: one table.

They are StoreUnavailable to callers (UNAVAILABLE with a RetryInfo) and are waited out by tasks. All others say that a
statement or a value is wrong, and are bugs. The codes: PostgreSQL's appendix A, "PostgreSQL Error Codes".
"""

import ssl

import asyncpg

# By SQLSTATE, or by its class (the first two characters) where all of a class pass.
PASSING: dict[str, str] = {
    "08": "the connection broke, or could not be made",
    "25006": "the server is read-only: a standby, or a primary that has been demoted",
    "25P03": "the transaction stood idle for too long",
    "25P04": "the transaction took too long",
    "28000": "the role is not let in: it is being made or changed",
    "28P01": "the password is not this one: it is being rotated",
    "3D000": "the database is not there yet",
    "40001": "the transaction cannot be put in an order with another",
    "40003": "nobody knows whether the statement was completed",
    "40P01": "the transaction was the victim of a deadlock",
    "42501": "a right is missing: it is being granted",
    "53": "the server lacks something: disk space, memory, connections",
    "55000": "the database takes no connections: it is being restored or copied",
    "55006": "the object is in use",
    "55P03": "a lock was not to be had in time",
    "57": "an operator or a time limit stepped in: cancelled, shut down, starting up, database dropped",
    "58": "the server's system failed it: I/O",
}
# Of these, what a statement may bring upon itself, every time, while the server takes others. What an operator does,
# and what the server lacks for everybody (disk space, connections, rights, a primary), is not among them.
_OF_ONE = frozenset({"08", "25P03", "25P04", "40001", "40003", "40P01", "53200", "53400", "55P03", "57014"})
# What a demoted primary says: its connections are of no more use, though they live.
READ_ONLY = "25006"

# Of the client library, without a SQLSTATE.
_PASSING_CLASSES = (
    # With what TLS refuses: a certificate or its authority is being replaced.
    OSError,
    TimeoutError,
    # The connection or the pool is closed, or was closed under a statement.
    asyncpg.InterfaceError,
    # The connection broke between two of the library's own steps ("cannot switch to state"), or no host is writable.
    asyncpg.InternalClientError,
    # The schema changed under a statement that is known already; the library has forgotten it now.
    asyncpg.InvalidCachedStatementError,
)


def passes(error: BaseException) -> bool:
    """Whether the same statement may succeed later, without any change of ours."""
    if isinstance(error, ValueError) and not isinstance(error, ssl.SSLCertVerificationError):
        # asyncpg's own DataError, an InterfaceError: a value that the statement cannot take, today or tomorrow.
        return False
    if isinstance(error, _PASSING_CLASSES):
        return True
    code = str(getattr(error, "sqlstate", None) or "") if isinstance(error, asyncpg.PostgresError) else ""
    return code in PASSING or code[:2] in PASSING


def may_be_of_one(error: BaseException) -> bool:
    """Whether what passes may also be this statement's own fault: it takes or waits for too long, or takes too much.

    Asked of a statement that was sent; who gets no connection is never at fault.
    """
    if not passes(error) or not isinstance(error, asyncpg.PostgresError):
        # Broken connections and the client's own limit of time.
        return passes(error)
    code = str(error.sqlstate or "")
    return code in _OF_ONE or code[:2] in _OF_ONE
