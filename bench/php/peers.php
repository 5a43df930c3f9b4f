<?php

/* What an update costs through promphp over a segment, and through its own storages: CPU time of one process, the least
 * of some turns of all storages, one after the other.
 *
 * usage: export SHMETRICS_PHP=build/release/php SHMETRICS_PROMPHP=CHECKOUT/src; php -n \
 *          -d extension=$SHMETRICS_PHP/shmetrics.so \
 *          -d shmetrics.segment=/dev/shm/bench.seg -d extension=apcu -d apc.enable_cli=1 -d zend_extension=opcache \
 *          -d opcache.enable_cli=1 bench/php/peers.php */

require __DIR__ . '/../../tests/php/autoload.php';

const UPDATES = 50_000;
const TURNS = 7;
const THREE = ['GET', '/users/:id', '200'];
const NAMES = ['method', 'path', 'status'];

function nanoseconds(Closure $update): float
{
    $cpu = function (): int {
        $used = getrusage();
        return $used['ru_utime.tv_sec'] * 1_000_000 + $used['ru_utime.tv_usec']
            + $used['ru_stime.tv_sec'] * 1_000_000 + $used['ru_stime.tv_usec'];
    };
    $start = $cpu();
    for ($i = 0; $i < UPDATES; ++$i) {
        $update();
    }
    return ($cpu() - $start) * 1e3 / UPDATES;
}

function works(Prometheus\Storage\Adapter $storage): array
{
    $registry = new Prometheus\CollectorRegistry($storage, false);
    $counter = $registry->getOrRegisterCounter('', 'requests_total', 'Requests', NAMES);
    $gauge = $registry->getOrRegisterGauge('', 'queue', 'Queue', ['name']);
    $histogram = $registry->getOrRegisterHistogram('', 'seconds', 'Duration', NAMES);
    return [
        'inc, 3 labels' => fn () => $counter->inc(THREE),
        'set of a gauge, 1 label' => fn () => $gauge->set(3, ['a']),
        'observe, 3 labels' => fn () => $histogram->observe(0.3, THREE),
        'as a request does it: new registry, get, inc' => function () use ($storage) {
            (new Prometheus\CollectorRegistry($storage, false))
                ->getOrRegisterCounter('', 'requests_total', 'Requests', NAMES)->inc(THREE);
        },
    ];
}

$programs = ['Shmetrics\Storage' => works(new Shmetrics\Storage())];
foreach (['InMemory', 'APCng', 'APC'] as $name) {
    $class = "Prometheus\\Storage\\$name";
    if (class_exists($class)) {
        $programs[$name] = works(new $class());
    }
}
$kept = Shmetrics\counter('kept_total', 'Kept', NAMES);
$programs['Shmetrics\counter()'] = ['inc, 3 labels' => fn () => $kept->inc(THREE)];

$least = [];
for ($turn = 0; $turn < TURNS; ++$turn) {
    $empty = nanoseconds(function () {
    });
    foreach ($programs as $name => $works) {
        foreach ($works as $work => $update) {
            $least[$work][$name] = min($least[$work][$name] ?? INF, nanoseconds($update) - $empty);
        }
    }
}
foreach ($least as $work => $figures) {
    foreach ($figures as $name => $figure) {
        printf("%-50s %-22s %7.0f ns\n", $work, $name, $figure);
    }
}
