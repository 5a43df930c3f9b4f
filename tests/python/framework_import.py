"""The same, for a server that starts its workers anew instead of forking them: the one line before all others."""
import shmetrics.as_prometheus_client  # noqa: F401

from framework_apps import starlette_app  # noqa: F401
