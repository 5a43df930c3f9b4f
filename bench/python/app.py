"""What peers.py serves under gunicorn, with either client: the one that $CLIENT names."""
import importlib
import os
import time

client = importlib.import_module(os.environ["CLIENT"])
REQUESTS = client.Counter("app_http_requests", "HTTP requests answered", ["method", "route", "status_code"])
SECONDS = client.Histogram("app_http_request_duration_seconds", "Duration of HTTP requests", ["route"])
WORKING = client.Gauge("app_workers_busy", "Workers that answer", multiprocess_mode="livesum")


def exposition():
    """As client_python has it for many processes; ours shows all of them always."""
    if client.__name__ == "shmetrics":
        return client.generate_latest()
    registry = client.CollectorRegistry()
    importlib.import_module("prometheus_client.multiprocess").MultiProcessCollector(registry)
    return client.generate_latest(registry)


def app(environ, start_response):
    begin, route, body = time.perf_counter(), environ["PATH_INFO"], b"hello\n"
    if route == "/metrics":
        body = exposition()
    else:
        with WORKING.track_inprogress():
            REQUESTS.labels("GET", route, "200").inc()
            SECONDS.labels(route).observe(time.perf_counter() - begin)
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]
