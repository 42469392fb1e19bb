"""What the bytes say: SDP, RTP, RTCP, and what is written back. Knows nothing of calls or paths."""
