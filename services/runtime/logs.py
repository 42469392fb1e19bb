"""Structured logs: an event name plus fields. Ids come from context variables; bodies, SDP and tokens never do."""

import logging
import sys

import structlog

from services.runtime.config import LogConfig

# Without the frames' locals, which hold what people write, tokens and passwords.
_TRACEBACKS = structlog.processors.ExceptionRenderer(structlog.tracebacks.ExceptionDictTransformer(show_locals=False))


def configure(config: LogConfig, service: str) -> None:
    """Set up structlog for the process, and send the standard library's loggers the same way."""
    renderer: structlog.types.Processor = structlog.processors.JSONRenderer()
    if config.format == "console":
        renderer = structlog.dev.ConsoleRenderer(
            colors=False, pad_event_to=28, exception_formatter=structlog.dev.plain_traceback
        )
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
    _route_standard_library(shared, renderer, level)


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
