"""Applications of three frameworks as their users write them: they know prometheus_client, and nothing of shmetrics."""
import prometheus_client
from prometheus_client import Counter, Gauge, Histogram

REQUESTS = Counter("app_http_requests_total", "Requests answered", ["method", "path"])
SECONDS = Histogram("app_http_request_seconds", "Duration of requests")
IN_PROGRESS = Gauge("app_http_in_progress", "Requests being answered", multiprocess_mode="livesum")


def flask_app():
    import flask
    import werkzeug.middleware.dispatcher

    app = flask.Flask(__name__)

    @app.route("/")
    @SECONDS.time()
    @IN_PROGRESS.track_inprogress()
    def page():
        REQUESTS.labels(flask.request.method, flask.request.path).inc()
        return "hello\n"
    app.wsgi_app = werkzeug.middleware.dispatcher.DispatcherMiddleware(
        app.wsgi_app, {"/metrics": prometheus_client.make_wsgi_app()})
    return app


def starlette_app():
    from starlette.applications import Starlette
    from starlette.responses import PlainTextResponse
    from starlette.routing import Mount, Route

    @SECONDS.time()
    @IN_PROGRESS.track_inprogress()
    async def page(request):
        REQUESTS.labels(request.method, request.url.path).inc()
        return PlainTextResponse("hello\n")
    return Starlette(routes=[Route("/", page), Mount("/metrics", prometheus_client.make_asgi_app())])


async def aiohttp_app():
    import aiohttp.web

    @SECONDS.time()
    @IN_PROGRESS.track_inprogress()
    async def page(request):
        REQUESTS.labels(request.method, request.path).inc()
        return aiohttp.web.Response(text="hello\n")

    async def metrics(request):
        return aiohttp.web.Response(body=prometheus_client.generate_latest(),
                                    headers={"Content-Type": prometheus_client.CONTENT_TYPE_LATEST})
    app = aiohttp.web.Application()
    app.router.add_get("/", page)
    app.router.add_get("/metrics", metrics)
    return app
