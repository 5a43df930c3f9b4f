from shmetrics import Counter, Histogram

jobs = Counter("app_jobs", "Jobs done", ["queue"])
seconds = Histogram("app_job_duration_seconds", "Duration of a job", ["queue"])

with seconds.labels("mail").time():
    jobs.labels("mail").inc()
