const { Counter, Histogram } = require('@shmetrics/prom-client');

const jobs = new Counter({ name: 'app_jobs_total', help: 'Jobs done', labelNames: ['queue'] });
const seconds = new Histogram({ name: 'app_job_duration_seconds', help: 'Duration of a job', labelNames: ['queue'] });

const end = seconds.startTimer({ queue: 'mail' });
jobs.inc({ queue: 'mail' });
end();
