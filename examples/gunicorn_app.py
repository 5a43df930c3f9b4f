"""A server of many processes that counts in shared memory, with no hook in the configuration:

gunicorn --workers 4 --max-requests 1000 gunicorn_app:app
"""
from shmetrics import Counter, Gauge, Histogram, make_wsgi_app

REQUESTS = Counter("app_http_requests", "HTTP requests answered", ["method", "status_code"])
IN_PROGRESS = Gauge("app_http_requests_in_progress", "HTTP requests being answered", multiprocess_mode="livesum")
SECONDS = Histogram("app_http_request_duration_seconds", "Duration of HTTP requests")


METRICS = make_wsgi_app()  # any worker answers for all


@SECONDS.time()
@IN_PROGRESS.track_inprogress()
def hello(environ, start_response):
    REQUESTS.labels(environ["REQUEST_METHOD"], "200").inc()
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "6")])
    return [b"hello\n"]


def app(environ, start_response):
    return (METRICS if environ["PATH_INFO"] == "/metrics" else hello)(environ, start_response)
