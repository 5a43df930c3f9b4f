// Types of the package: prom-client's, and what is ours.
import { AggregatorRegistry, Counter, Gauge, Histogram, register, registryOf, releaseWorker } from '@shmetrics/prom-client';

const requests = new Counter({ name: 'a_total', help: 'A', labelNames: ['x'] as const, seriesLimit: 5 });
requests.inc({ x: 1 });
// @ts-expect-error: no such label
requests.inc({ y: 1 });
new Gauge({ name: 'g', help: 'G', mode: 'mostrecent' }).set(1);
// @ts-expect-error: no such mode
new Gauge({ name: 'h', help: 'G', mode: 'odd' });
new Histogram({ name: 'i', help: 'H', seriesLimit: 3, buckets: [1, 2] }).observe(1);
register.metrics().then((text: string) => text);
new AggregatorRegistry().clusterMetrics();
new Counter({ name: 'j_total', help: 'J', registers: [registryOf('/dev/shm/own.seg')] }).inc();
registryOf('/dev/shm/own.seg').metrics().then((text: string) => text);
// @ts-expect-error: no such path
registryOf(5);
releaseWorker();
