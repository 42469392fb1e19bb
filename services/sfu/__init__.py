"""The media plane of calls: a selective forwarding unit on one UDP port."""
