"""DTLS records: the worker's context refuses them or waits for more. OpenSSL is not instrumented: this is unguided."""

from OpenSSL import SSL

from services.sfu.dtls import SRTP_PROFILES, Certificate

_CONTEXT = Certificate.generateCertificate()._create_ssl_context(SRTP_PROFILES)


def _client_hello() -> bytes:
    client = SSL.Connection(SSL.Context(SSL.DTLS_CLIENT_METHOD), None)
    client.set_connect_state()
    try:
        client.do_handshake()
    except SSL.WantReadError:
        return client.bio_read(4096)
    raise AssertionError("the client waits for nobody")


SEEDS = (
    _client_hello(),
    bytes.fromhex("15fefd000000000000000000020201"),
    bytes.fromhex("16fefd0000000000000000000c010000200000000000000020"),
    bytes.fromhex("17fefd0001000000000000001000112233445566778899aabbccddeeff"),
)


def fuzz(data: bytes) -> None:
    """Raises for anything but the library's own errors."""
    if not data:
        return
    server = SSL.Connection(_CONTEXT, None)
    server.set_accept_state()
    server.bio_write(data)
    try:
        server.do_handshake()
    except (SSL.WantReadError, SSL.Error, SSL.ZeroReturnError):
        pass
    else:
        raise AssertionError("one datagram made a whole handshake")
