"""The metrics of all workers, from any of them: as bytes, as an application of WSGI or ASGI, by a server of its own.

Reading is safe from any thread and after fork. It takes some milliseconds for 10,000 series, without the interpreter's
lock; nobody's updates wait for it. Each call raises OSError when the segment cannot be read, and MemoryError when there
is no room for it."""
from __future__ import annotations

import gzip
import hmac
import os
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

# What few programs need is imported where they ask for it. And `http`, which wsgiref.simple_server imports, is another
# module where a gunicorn that was started by `python -m gunicorn` has replaced itself.
if TYPE_CHECKING:
    import threading
    import wsgiref.simple_server

import shmetrics._core as _core
from ._collected import Metric, bound_here, collect

CONTENT_TYPE_LATEST = "text/plain; version=0.0.4; charset=utf-8"
CONTENT_TYPE_OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"
_TEXT, _OPENMETRICS = 0, 1

_Headers = list[tuple[str, str]]
_Application = Callable[[dict[str, Any], Callable[[str, _Headers], Any]], Iterable[bytes]]


class Reader:
    """What can be read back of a segment."""

    __slots__ = ("_handle",)
    _handle: object

    def get_sample_value(self, name: str, labels: Mapping[str, str] | None = None) -> float | None:
        """The merged value of one sample, such as `app_seconds_count`, with just these labels, or None. A bound may be
        written as here, `le="1"`, or as prometheus_client does, `le="1.0"`."""
        labels = dict(labels or {})
        if name.endswith("_bucket") and "le" in labels:
            labels["le"] = bound_here(labels["le"])
        return _core.value(self._handle, name, tuple(labels), tuple(labels.values()))

    def collect(self) -> Iterator[Metric]:
        """All families with their samples, merged over all workers."""
        return collect(self._handle)


def _handle(registry: Reader | None) -> object:
    return None if registry is None else registry._handle


def generate_latest(registry: Reader | None = None) -> bytes:
    """All families in text format 0.0.4, whose media type is CONTENT_TYPE_LATEST."""
    return _core.render(_handle(registry), _TEXT, ())


def _credentials(token: str | None) -> list[bytes]:
    """What `Authorization` may say. A token that is given and cannot be one is an error: nobody means to open the
    metrics by an empty variable."""
    given = token if token is not None else os.environ.get("METRICS_TOKEN")
    if given is None:
        return []
    tokens = [each.strip() for each in given.split(",") if each.strip()]
    if not tokens or any(len(each) < 8 or not each.isascii() or not each.isprintable() or set(each) & set(" \"'`${}")
                         for each in tokens):
        raise ValueError("a token has 8 characters or more, and no blank, quote, '$' or brace; where none is wanted "
                         "give None, and leave METRICS_TOKEN unset")
    return [each.encode() for each in tokens]


class _Answerer:
    """Answers requests for one registry: who may ask, in which format, which families, compressed or not."""

    def __init__(self, registry: Reader | None, disable_compression: bool, token: str | None) -> None:
        self._handle = _handle(registry)
        self._compresses = not disable_compression
        self._credentials = _credentials(token)

    def answer(self, path: str, query: str, header: Callable[[str], str]) -> tuple[str, _Headers, bytes]:
        plain = ("Content-Type", "text/plain; charset=utf-8")
        if path == "/favicon.ico":
            return "200 OK", [plain], b""
        scheme, _, given = header("authorization").partition(" ")
        is_right = any([hmac.compare_digest(given.strip().encode(), each) for each in self._credentials])
        if self._credentials and not (is_right and scheme.lower() == "bearer"):
            return "401 Unauthorized", [plain, ("WWW-Authenticate", "Bearer")], b"401: ask with the token\n"
        accepted = [part.split(";")[0].strip() for part in header("accept").split(",")]
        is_openmetrics = "application/openmetrics-text" in accepted
        try:
            body = _core.render(self._handle, _OPENMETRICS if is_openmetrics else _TEXT,
                                tuple(parse_qs(query).get("name[]", ())))
        except ValueError as error:  # no name has a NUL
            return "400 Bad Request", [plain], f"{error}\n".encode()
        except (OSError, MemoryError) as error:
            return "503 Service Unavailable", [plain], f"{error}\n".encode()
        headers = [("Content-Type", CONTENT_TYPE_OPENMETRICS if is_openmetrics else CONTENT_TYPE_LATEST),
                   ("Vary", "Accept, Accept-Encoding")]
        codings = [part.split(";")[0].strip().lower() for part in header("accept-encoding").split(",")]
        if self._compresses and "gzip" in codings:
            body = gzip.compress(body, compresslevel=1)
            headers.append(("Content-Encoding", "gzip"))
        return "200 OK", headers, body


def make_wsgi_app(registry: Reader | None = None, disable_compression: bool = False, *, token: str | None = None
                  ) -> _Application:
    """An application that answers with the metrics of all workers. With a token, or several with commas between them,
    or those of $METRICS_TOKEN, it asks for `Authorization: Bearer TOKEN`. Without one the application that it is
    mounted in decides who reads."""
    answerer = _Answerer(registry, disable_compression, token)

    def metrics(environ: dict[str, Any], start_response: Callable[[str, _Headers], Any]) -> Iterable[bytes]:
        def header(name: str) -> str:
            return str(environ.get("HTTP_" + name.upper().replace("-", "_"), ""))
        status, headers, body = answerer.answer(environ.get("PATH_INFO", ""), environ.get("QUERY_STRING", ""), header)
        start_response(status, headers + [("Content-Length", str(len(body)))])
        return [body]
    return metrics


def make_asgi_app(registry: Reader | None = None, disable_compression: bool = False, *, token: str | None = None
                  ) -> Callable[..., Awaitable[None]]:
    """The same for ASGI. The segment is read in a thread: the event loop goes on."""
    import asyncio
    answerer = _Answerer(registry, disable_compression, token)

    async def metrics(scope: dict[str, Any], receive: Callable[[], Awaitable[Any]],
                      send: Callable[[dict[str, Any]], Awaitable[None]]) -> None:
        if scope["type"] != "http":
            raise ValueError(f"metrics are asked for by http, not by {scope['type']}")

        def header(name: str) -> str:
            return ",".join(value.decode("latin-1") for key, value in scope["headers"] if key.lower() == name.encode())
        status, headers, body = await asyncio.to_thread(answerer.answer, scope.get("path", ""),
                                                        scope.get("query_string", b"").decode("latin-1"), header)
        headers = headers + [("Content-Length", str(len(body)))]
        await send({"type": "http.response.start", "status": int(status.split()[0]),
                    "headers": [(key.lower().encode(), value.encode("latin-1")) for key, value in headers]})
        await send({"type": "http.response.body", "body": body})
    return metrics


def start_http_server(port: int, addr: str = "0.0.0.0", registry: Reader | None = None, *, token: str | None = None
                      ) -> tuple[wsgiref.simple_server.WSGIServer, threading.Thread]:
    """Serves the metrics by a daemon thread of this process. OSError when the port is taken: in one worker of many it
    is that of another, which answers for all."""
    import socket
    import socketserver
    import threading
    from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

    class Handler(WSGIRequestHandler):
        timeout = 10  # a peer that says nothing keeps a thread and a descriptor of this worker no longer

        def log_message(self, format: str, *args: Any) -> None:
            pass

    class Server(socketserver.ThreadingMixIn, WSGIServer):
        daemon_threads = True
        address_family = socket.getaddrinfo(addr, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0][0]

    server = make_server(addr, port, make_wsgi_app(registry, token=token), Server, Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    return server, thread
