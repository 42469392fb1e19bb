"""What a worker is told of a call's others, as a protobuf."""

from parley.sfu.v1 import service_pb2

from services.signaling.relays.core import Relays


def encode_relays(relays: Relays) -> service_pb2.SetRelaysRequest:
    """All of it."""
    return service_pb2.SetRelaysRequest(
        call_id=relays.call_id,
        revision=relays.revision,
        peers=[
            service_pb2.RelayPeer(
                worker_id=peer.worker_id,
                media_address=peer.media_address,
                send_leg_id=peer.send_leg_id,
                send_key=peer.send_key,
                receive_leg_id=peer.receive_leg_id,
                receive_key=peer.receive_key,
            )
            for peer in relays.peers
        ],
        participants=[
            service_pb2.RemoteParticipant(
                user_id=remote.joined.user_id,
                device_id=remote.joined.device_id,
                worker_id=remote.worker_id,
                number=remote.joined.number,
                sdp_offer=remote.joined.sdp_offer,
            )
            for remote in relays.remotes
        ],
    )
