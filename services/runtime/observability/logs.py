"""Structured logs: an event name plus fields. Ids come from context variables; bodies, SDP and tokens never do."""

import asyncio
import logging
import sys
import threading
from typing import Any

import structlog

from services.runtime.config import LogConfig
from services.runtime.observability import failures

# Without the frames' locals and what exceptions quote: both hold what people write, tokens and passwords.
_TRACEBACKS = structlog.processors.ExceptionRenderer(failures.as_dicts)


def configure(config: LogConfig, service: str) -> None:
    """Set up structlog for the process, and send the standard library's loggers the same way."""
    renderer: structlog.types.Processor = structlog.processors.JSONRenderer()
    if config.format == "console":
        renderer = structlog.dev.ConsoleRenderer(colors=False, pad_event_to=28, exception_formatter=failures.as_text)
    shared: list[structlog.types.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    level = getattr(logging, config.level.upper())
    structlog.configure(
        processors=[*shared, _TRACEBACKS if config.format == "json" else _keep, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.WriteLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=True,
    )
    structlog.contextvars.bind_contextvars(service=service)
    _route_standard_library([*shared, _TRACEBACKS] if config.format == "json" else shared, renderer, level)


def take_uncaught() -> None:
    """What nobody caught, in any thread, is logged as all else is. Python itself would print what it quotes."""
    sys.excepthook = lambda _kind, error, _at: _note_uncaught(error)
    threading.excepthook = lambda failure: _note_uncaught(failure.exc_value)
    sys.unraisablehook = lambda failure: _note_uncaught(failure.exc_value)


def note_unhandled(_loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """For the event loop, which would print the task, and with it the text of its exception."""
    # Some messages go on with what they are about.
    what = str(context.get("message", "")).split("\n")[0]
    structlog.get_logger().error("unhandled", what=what, exc_info=context.get("exception"))


def _note_uncaught(error: BaseException | None) -> None:
    structlog.get_logger().critical("uncaught", error=failures.named(error) if error else "", exc_info=error)


def _keep(_logger: object, _name: str, event: structlog.types.EventDict) -> structlog.types.EventDict:
    return event


def _route_standard_library(
    shared: list[structlog.types.Processor], renderer: structlog.types.Processor, level: int
) -> None:
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[*shared, structlog.stdlib.add_logger_name],
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(formatter)
    # Libraries narrate at INFO what our own events already say.
    logging.basicConfig(level=max(level, logging.WARNING), handlers=[handler], force=True)
