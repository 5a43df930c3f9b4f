<?php

/* What php-fpm runs in the tests: each answer is counted before it is given, in a counter, a histogram and a gauge. */
require getenv('SHMETRICS_TESTS') . '/autoload.php';

$registry = new Prometheus\CollectorRegistry(new Shmetrics\Storage(), false);
$path = strtok($_SERVER['REQUEST_URI'], '?');
if ($path === '/metrics') {
    header('Content-Type: ' . Prometheus\RenderTextFormat::MIME_TYPE);
    echo (new Prometheus\RenderTextFormat())->render($registry->getMetricFamilySamples());
    exit;
}

$active = $registry->getOrRegisterGauge('app', 'active', 'Active');
$active->inc();
$registry->getOrRegisterCounter('app', 'requests_total', 'Requests', ['path'])->inc([$path]);
$registry->getOrRegisterHistogram('app', 'request_seconds', 'Duration', ['path'])->observe(0.003, [$path]);
$active->dec();
if ($path === '/die') {
    posix_kill(getmypid(), 9);
}
while ($path === '/hang') {
    sleep(1);
}
echo getmypid();
