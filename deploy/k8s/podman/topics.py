"""`python -m deploy.k8s.podman.topics HOST:PORT`: makes Parley's topics, in the place of Strimzi's operator."""

import asyncio
import sys

from deploy.embedded.broker import create_topics
from deploy.embedded.topics import load_topics

if __name__ == "__main__":
    asyncio.run(create_topics(sys.argv[1], load_topics()))
