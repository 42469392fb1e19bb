"""web's metrics."""

from prometheus_client import Counter

REQUESTS = Counter("web_http_requests", "HTTP requests for the web client's files, by status.", ["status"])
