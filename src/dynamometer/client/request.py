"""A request body becomes the bytes of an HTTP/1.1 request."""

from __future__ import annotations

import json
from typing import Any

from dynamometer.client.exchange import Request
from dynamometer.domain.wire import Endpoint


def prepare(endpoint: Endpoint, request_id: str, body: dict[str, Any]) -> Request:
    """The whole request, ready to be written to a socket."""
    content = json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()
    host = f"[{endpoint.host}]" if ":" in endpoint.host else endpoint.host
    authorization = f"Authorization: Bearer {endpoint.bearer.get_secret_value()}\r\n" if endpoint.bearer else ""
    head = (
        f"POST {endpoint.path} HTTP/1.1\r\n"
        f"Host: {host}:{endpoint.port}\r\n"
        f"{authorization}"
        "User-Agent: dynamometer\r\n"
        "Accept: text/event-stream, application/json\r\n"
        "Accept-Encoding: identity\r\n"
        "Content-Type: application/json\r\n"
        f"X-Request-Id: {request_id}\r\n"
        f"Content-Length: {len(content)}\r\n"
        "Connection: keep-alive\r\n\r\n"
    )
    return Request(id=request_id, payload=head.encode("ascii") + content)
