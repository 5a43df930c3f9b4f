"""A site of Django with django-prometheus, which imports prometheus_client by name: one page, and its metrics."""
import django.conf
import django.core.wsgi
import django.http
import django.urls

django.conf.settings.configure(
    ALLOWED_HOSTS=["*"], ROOT_URLCONF=__name__, SECRET_KEY="of a test", PROMETHEUS_EXPORT_MIGRATIONS=False,
    INSTALLED_APPS=["django_prometheus"],
    MIDDLEWARE=["django_prometheus.middleware.PrometheusBeforeMiddleware",
                "django_prometheus.middleware.PrometheusAfterMiddleware"])


def page(request):
    return django.http.HttpResponse("hello\n")


urlpatterns = [django.urls.path("", page), django.urls.path("", django.urls.include("django_prometheus.urls"))]
app = django.core.wsgi.get_wsgi_application()
