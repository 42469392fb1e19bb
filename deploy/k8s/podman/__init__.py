"""The overlay dev on this machine, without a cluster: images, `podman kube play`, and what stands beside."""
