"""What can go wrong with a cluster of this machine. Each message is made for the person at the terminal."""

from __future__ import annotations


class ClusterError(Exception):
    """The cluster cannot do what it is asked for."""


class KubectlError(ClusterError):
    """kubectl failed; the text is what it said."""
