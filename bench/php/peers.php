<?php

/* What an update, a scrape and a kill inside an update cost through promphp over a segment, and over its own storages.
 * Times are CPU time of one process, the least of some turns of all storages, one after the other.
 *
 * Kills: some workers count and observe 1 without a pause, on 50 paths. One after the other is killed and replaced.
 * After each kill another process counts on a path of its own, and makes the page. At last: which acknowledged updates
 * the page lacks, and by how much the sum of the observations, of 1 each, differs from their number.
 *
 * usage: peers.php PACKAGE PROMPHP      PACKAGE: build/release/php; PROMPHP: src of a checkout of promphp, or nothing:
 *                                       the tests' stand-in, which has no storages of its own */

const UPDATES = 50_000;
const TURNS = 3;
const WORKERS = 1000;
const SERIES = 100;
const KILLS = 300;
const BATCH = 10; // updates before they are acknowledged
const PATIENCE = 10; // seconds for an update and a page
const THREE = ['GET', '/users/:id', '200'];
const NAMES = ['method', 'path', 'status'];
const STORAGES = ['Shmetrics\Storage', 'Prometheus\Storage\InMemory', 'Prometheus\Storage\APCng',
    'Prometheus\Storage\APC'];

function cpu_ns(): float
{
    $used = getrusage();
    return ($used['ru_utime.tv_sec'] + $used['ru_stime.tv_sec']) * 1e9
        + ($used['ru_utime.tv_usec'] + $used['ru_stime.tv_usec']) * 1e3;
}

function nanoseconds(Closure $update): float
{
    $least = INF;
    for ($round = 0; $round < 5; ++$round) {
        $start = cpu_ns();
        for ($i = 0; $i < UPDATES; ++$i) {
            $update();
        }
        $least = min($least, (cpu_ns() - $start) / UPDATES);
    }
    return $least;
}

function counter(Prometheus\CollectorRegistry $registry): Prometheus\Counter
{
    return $registry->getOrRegisterCounter('', 'requests_total', 'Requests', NAMES);
}

function page(Prometheus\CollectorRegistry $registry): string
{
    return (new Prometheus\RenderTextFormat())->render($registry->getMetricFamilySamples());
}

function sum_of(string $text, string $name): float
{
    preg_match_all("/^$name(?:\\{.*\\})? (\\S+)$/m", $text, $found);
    return array_sum($found[1]);
}

/** A process that runs the function. */
function process(Closure $run): int
{
    $pid = pcntl_fork();
    if ($pid === 0) {
        $run();
        exit(0);
    }
    return $pid;
}

function works(Prometheus\Storage\Adapter $storage): array
{
    $registry = new Prometheus\CollectorRegistry($storage, false);
    $counter = counter($registry);
    $gauge = $registry->getOrRegisterGauge('', 'queue', 'Queue', ['name']);
    $histogram = $registry->getOrRegisterHistogram('', 'seconds', 'Duration', NAMES);
    $works = [
        'inc, 3 labels, ns' => fn () => $counter->inc(THREE),
        'set of a gauge, 1 label, ns' => fn () => $gauge->set(3, ['a']),
        'observe, 3 labels, ns' => fn () => $histogram->observe(0.3, THREE),
        'as a request does it: new registry, get, inc, ns' =>
            fn () => counter(new Prometheus\CollectorRegistry($storage, false))->inc(THREE),
    ];
    if ($storage instanceof Shmetrics\Storage) {
        $kept = Shmetrics\counter('kept_total', 'Kept', NAMES);
        $works['inc, 3 labels, without promphp, ns'] = fn () => $kept->inc(THREE);
    }
    return $works;
}

function measure(Prometheus\Storage\Adapter $storage): void
{
    $empty = nanoseconds(function () {
    });
    foreach (works($storage) as $work => $update) {
        echo $work, '|', nanoseconds($update) - $empty, "\n";
    }
    if ($storage instanceof Prometheus\Storage\InMemory) {
        return; // no other process sees it
    }
    $registry = new Prometheus\CollectorRegistry($storage, false);
    $before = sum_of(page($registry), 'requests_total');
    for ($worker = 0; $worker < WORKERS; ++$worker) {
        $pid = process(function () use ($registry) {
            for ($i = 0; $i < SERIES; ++$i) {
                counter($registry)->inc(['GET', "/$i", '200']);
            }
        });
        pcntl_waitpid($pid, $status);
    }
    $least = INF;
    for ($round = 0; $round < 5; ++$round) {
        $start = cpu_ns();
        $text = page($registry);
        $least = min($least, (cpu_ns() - $start) / 1e6);
    }
    echo 'scrape after ', WORKERS, ' workers of ', SERIES, " series, ms|$least\n";
    $counted = sum_of($text, 'requests_total') - $before;
    if ($counted != WORKERS * SERIES) {
        fwrite(STDERR, get_class($storage) . " shows $counted\n");
    }
}

/** Whether the function is done in time by a process of its own. */
function is_done_in_time(Closure $run): bool
{
    $pid = process($run);
    for ($waited = 0; $waited < PATIENCE * 100; ++$waited) {
        if (pcntl_waitpid($pid, $status, WNOHANG) !== 0) {
            return pcntl_wexitstatus($status) === 0;
        }
        usleep(10_000);
    }
    posix_kill($pid, SIGKILL);
    pcntl_waitpid($pid, $status);
    return false;
}

/** A process that counts until it is killed, or told to stop between two updates. */
function counting(string $folder, Prometheus\CollectorRegistry $registry): int
{
    return process(function () use ($folder, $registry) {
        $stops = false;
        pcntl_async_signals(true);
        pcntl_signal(SIGUSR1, function () use (&$stops) {
            $stops = true;
        });
        $acknowledged = fopen("$folder/" . getmypid(), 'w');
        stream_set_write_buffer($acknowledged, 0);
        $histogram = $registry->getOrRegisterHistogram('', 'seconds', 'Duration', []);
        for ($done = 0; !$stops;) {
            for ($i = 0; $i < BATCH; ++$i) {
                counter($registry)->inc(['GET', '/' . ++$done % 50, '200']);
                $histogram->observe(1);
            }
            rewind($acknowledged);
            fwrite($acknowledged, (string) $done);
        }
    });
}

function kill_inside_updates(Prometheus\Storage\Adapter $storage): string
{
    $registry = new Prometheus\CollectorRegistry($storage, false);
    $folder = getenv('BENCH_FOLDER');
    $workers = [];
    for ($kill = 1; $kill <= KILLS; ++$kill) {
        while (count($workers) < 3) {
            $workers[] = counting($folder, $registry);
        }
        usleep(random_int(1_000, 20_000));
        $victim = array_shift($workers);
        posix_kill($victim, SIGKILL);
        pcntl_waitpid($victim, $status);
        $done = is_done_in_time(function () use ($registry, $kill) {
            counter($registry)->inc(['GET', "/new/$kill", '200']);
            page($registry);
        });
        if (!$done) {
            array_map(fn (int $pid) => posix_kill($pid, SIGKILL), $workers);
            return "after kill $kill nobody counts or sees a page any more";
        }
    }
    foreach ($workers as $pid) {
        posix_kill($pid, SIGUSR1);
        pcntl_waitpid($pid, $status);
    }
    $text = page($registry);
    $updates = array_sum(array_map('file_get_contents', glob("$folder/[0-9]*"))) + KILLS;
    $lost = max(0, $updates - sum_of($text, 'requests_total'));
    $apart = abs(sum_of($text, 'seconds_sum') - sum_of($text, 'seconds_count'));
    return KILLS . " kills: $lost of $updates updates lost, sum and count $apart apart";
}

/** What the program prints in a process of its own, with fresh memory. */
function turn(string $what, string $storage): array
{
    [, $package, $promphp] = $GLOBALS['argv'] + [2 => ''];
    $folder = '/dev/shm/bench-' . getmypid();
    mkdir($folder);
    $settings = ['extension' => realpath($package) . '/shmetrics.so', 'shmetrics.segment' => "$folder/bench.seg",
        'apc.enable_cli' => 1, 'apc.shm_size' => '256M', 'opcache.enable_cli' => 1];
    $command = [PHP_BINARY, '-n', '-d', 'extension=posix', '-d', 'extension=apcu', '-d', 'zend_extension=opcache'];
    foreach ($settings as $name => $value) {
        array_push($command, '-d', "$name=$value");
    }
    array_push($command, __FILE__, $what, $storage);
    $environment = ['SHMETRICS_PHP' => realpath($package), 'BENCH_FOLDER' => $folder]
        + ($promphp === '' ? [] : ['SHMETRICS_PROMPHP' => realpath($promphp)]) + getenv();
    $process = proc_open($command, [1 => ['pipe', 'w']], $pipes, null, $environment);
    $lines = array_filter(explode("\n", stream_get_contents($pipes[1])));
    proc_close($process);
    array_map('unlink', glob("$folder/*"));
    rmdir($folder);
    return $lines;
}

if ($argc === 3 && in_array($argv[1], ['--measure', '--kill'], true)) {
    require __DIR__ . '/../../tests/php/autoload.php';
    if (!class_exists($argv[2])) {
        exit;
    }
    $storage = new $argv[2]();
    $argv[1] === '--measure' ? measure($storage) : print(kill_inside_updates($storage) . "\n");
    exit;
}

$figures = [];
for ($turn = 0; $turn < TURNS; ++$turn) {
    foreach (STORAGES as $storage) {
        foreach (turn('--measure', $storage) as $line) {
            [$work, $figure] = explode('|', $line);
            $figures[$work][$storage] = min($figures[$work][$storage] ?? INF, (float) $figure);
        }
    }
}
preg_match('/^model name\s*: (.*)/m', file_get_contents('/proc/cpuinfo'), $model);
echo "$model[1], load ", sys_getloadavg()[0], ', PHP ', PHP_VERSION, "\n";
echo '| CPU time | ', implode(' | ', STORAGES), " |\n| --- | --- | --- | --- | --- |\n";
foreach ($figures as $work => $of) {
    $digits = str_ends_with($work, 'ms') ? 1 : 0;
    $format = fn (string $storage) => isset($of[$storage]) ? round($of[$storage], $digits) : '';
    echo "| $work | ", implode(' | ', array_map($format, STORAGES)), " |\n";
}
echo "\n";
foreach (array_diff(STORAGES, ['Prometheus\Storage\InMemory']) as $storage) {
    foreach (turn('--kill', $storage) as $line) {
        echo "$storage: $line\n";
    }
}
