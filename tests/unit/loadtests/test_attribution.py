import pytest

from loadtests.sfu_media.attribution import (
    COLLECTOR,
    COPIES,
    ENCRYPTION,
    ENCRYPTION_CALLS,
    FEEDBACK,
    GRPC,
    LOOP,
    OTHER,
    RECEIVE,
    REST,
    ROUTING,
    SEND,
    TRANSPORT,
    WAY_IN,
    WAY_OUT,
    part_of,
    shares_of,
)

LOOP_RUNS = "main (services/runtime/lifecycle.py);run_forever (loop.c);uv_run (core.c)"
DRAINS = f"{LOOP_RUNS};Ingress._wake (services/sfu/ingress.py);Ingress._drain (services/sfu/ingress.py)"
HANDLES = f"{DRAINS};Demux._handle_srtp (services/sfu/demux.py)"
WRITES = f"{DRAINS};Egress.flush (services/sfu/egress.py);Egress._write_runs (services/sfu/egress.py)"
ABI = "cdata_call (_cffi_backend.cpython-311-x86_64-linux-gnu.so);ffi_call_unix64 (_cffi_backend.so)"


@pytest.mark.parametrize(
    ("stack", "part"),
    [
        (f"{HANDLES};SendHistory.resolve (services/sfu/core/congestion/send_history.py)", FEEDBACK),
        (f"{HANDLES};Router._forward.<locals>.<listcomp> (services/sfu/core/session/router.py)", ROUTING),
        (f"{HANDLES};parse_header (services/sfu/core/wire/rtp.py);unpack_from (_struct.c)", WAY_IN),
        (f"{WRITES};fill (services/sfu/core/forwarding/subscribers.py);0x7fe0ebf278ec (libc.so.6)", COPIES),
        (WRITES, WAY_OUT),
        (f"{WRITES};SendmmsgBatch._send (services/sfu/batch.py);{ABI};sendmmsg (libc.so.6)", SEND),
        (f"{DRAINS};RecvmmsgInbox.receive (services/sfu/udp.py);{ABI};recvmmsg (libc.so.6)", RECEIVE),
        (f"{WRITES};gc_collect_main (libpython3.11.so.1.0);dict_traverse (libpython3.11.so.1.0)", COLLECTOR),
        (f"{LOOP_RUNS};receive (services/sfu/dtls.py);do_handshake (OpenSSL/SSL.py)", TRANSPORT),
        (f"{DRAINS};Newcomer.act (services/sfu/core/newcomer.py)", REST),
        (f"{LOOP_RUNS};task_step (_asynciomodule.c)", LOOP),
        ("clone (libc.so.6);0x7fe0 (grpc/_cython/cygrpc.cpython-311-x86_64-linux-gnu.so)", GRPC),
        ("clone (libc.so.6);thread_run (libpython3.11.so.1.0);handle (socketserver.py)", OTHER),
    ],
)
def test_a_stack_counts_for_its_innermost_frame_that_has_a_part(stack: str, part: str) -> None:
    assert part_of(stack) == part


@pytest.mark.parametrize(
    ("frames", "part"),
    [
        ("CPyDef_send_history___SendHistory___resolve (__native_5b1d.c);CPyDict_GetItem (dict_ops.c)", FEEDBACK),
        ("CPyPy_subscribers___fill (abc__mypyc.cpython-311-x86_64-linux-gnu.so)", COPIES),
        ("CPyDef_overuse____Line___add_point.part.0 (__native.c);CPyTagged_StealAsObject (int_ops.c)", FEEDBACK),
        ("CPyDef_session___router___Router___handle_rtp", ROUTING),
        ("CPyDef_srtp___SrtpSession___protect_all (__native_5b1d.c)", ENCRYPTION_CALLS),
        ("CPyDef_srtp___SrtpSession___unprotect_rtp (__native_5b1d.c);bytes_new (bytesobject.c)", ENCRYPTION_CALLS),
        ("CPyDef_newcomer___act (__native.c)", REST),
    ],
)
def test_what_mypyc_compiled_is_found_by_the_module_in_its_symbols(frames: str, part: str) -> None:
    assert part_of(f"{LOOP_RUNS};{frames}") == part


@pytest.mark.parametrize(
    "caller", ["SrtpSession.protect_all (services/sfu/srtp.py)", "CPyDef_srtp___SrtpSession___protect_all (__native.c)"]
)
def test_encryption_is_what_libsrtp_does_whoever_calls_it(caller: str) -> None:
    inside = "_cffi_f_srtp_protect (pylibsrtp/_binding.abi3.so);srtp_protect (srtp.c);srtp_cipher_encrypt (cipher.c)"
    assert part_of(f"{WRITES};{caller};{inside}") == ENCRYPTION
    assert part_of(f"{WRITES};{caller};{inside};ossl_aes_gcm_encrypt (pylibsrtp/_binding.abi3.so)") == ENCRYPTION


def test_shares_are_of_the_samples_that_were_not_asleep_and_come_largest_first() -> None:
    folded = [
        f"{HANDLES};SendHistory.note (services/sfu/core/wire/transport_cc.py) 2",
        f"{HANDLES};Prober.add_results (services/sfu/core/congestion/probing.py) 1",
        f"{WRITES} 1",
        f"{WRITES};SendmmsgBatch._send (services/sfu/batch.py);{ABI};sendmmsg (libc.so.6) 4",
        f"{LOOP_RUNS};uv__io_poll (linux.c);epoll_pwait (libc.so.6) 90",
        "thread_run (libpython3.11.so.1.0);poll (libc.so.6) 50",
        "",
    ]
    shares, samples = shares_of(folded)
    assert list(shares.items()) == [(SEND, 0.5), (FEEDBACK, 0.375), (WAY_OUT, 0.125)]
    assert samples == 8


def test_nothing_but_sleep_has_no_shares() -> None:
    assert shares_of(["poll (libc.so.6) 7"]) == ({}, 0)
    assert shares_of([]) == ({}, 0)
