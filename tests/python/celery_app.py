"""Tasks of celery that count; the messages are files."""
import os
import time

import celery

from shmetrics import Counter

TASKS = Counter("app_tasks", "Tasks done", ["kind"])
FOLDER = os.environ["CELERY_FOLDER"]

app = celery.Celery("celery_app", broker="filesystem://")
app.conf.update(broker_transport_options={"data_folder_in": FOLDER, "data_folder_out": FOLDER},
                task_ignore_result=True, worker_prefetch_multiplier=1)


@app.task
def work(kind):
    TASKS.labels(kind).inc()


@app.task
def sleep_for_long(kind):
    TASKS.labels(kind).inc()
    time.sleep(600)
