<?php

// What php-fpm runs: its workers count in shared memory, and any of them answers /metrics for all.
require __DIR__ . '/vendor/autoload.php';
require_once 'Shmetrics/Storage.php';

$registry = new Prometheus\CollectorRegistry(new Shmetrics\Storage());

if ($_SERVER['REQUEST_URI'] === '/metrics') {
    header('Content-Type: ' . Prometheus\RenderTextFormat::MIME_TYPE);
    echo (new Prometheus\RenderTextFormat())->render($registry->getMetricFamilySamples());
    exit;
}

$registry->getOrRegisterCounter('app', 'greetings_total', 'Greetings', ['language'])->inc(['en']);
echo "hello\n";
