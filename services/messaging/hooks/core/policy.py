"""Who is asked about, and what happens without an answer."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

from services.messaging.hooks.core.verdicts import Surface
from services.messaging.kernel.content import Content, without_preview


class WithoutAnswer(Enum):
    """What becomes of what is written on a surface when the hook does not answer."""

    # It passes.
    OPEN = "open"
    # It is refused for now.
    CLOSED = "closed"
    # The hook is not asked at all.
    UNASKED = "off"


@dataclass(frozen=True)
class HookPolicy:
    """What is configured. The defaults are those of config.py."""

    surfaces: Mapping[Surface, WithoutAnswer] = field(
        default_factory=lambda: {
            Surface.REQUEST: WithoutAnswer.CLOSED,
            Surface.DIRECT: WithoutAnswer.OPEN,
            Surface.GROUP: WithoutAnswer.OPEN,
        }
    )
    # Whether the hook is asked about what servers of the back office write.
    servers: bool = True
    # Whether the hook judges what previews of links say. Of one that does not, texts are stored without them.
    previews: bool = True

    def of(self, surface: Surface, *, by_server: bool) -> WithoutAnswer:
        """What holds for one thing that is written."""
        return WithoutAnswer.UNASKED if by_server and not self.servers else self.surfaces[surface]

    def asked_about(self, content: Content) -> Content:
        """What is judged, and stored, of what is written."""
        return content if self.previews else without_preview(content)
