"""Where web's objects are built; tests build the same."""

from services.runtime.lifecycle import App
from services.web.config import Config
from services.web.server import WebServer


def build(config: Config) -> App:
    """The service, not started."""
    return App([WebServer(config.http_address, config.web_root, config.objects_origin, config.sticker_hosts)])
