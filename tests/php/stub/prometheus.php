<?php

/* What the tests use of promphp/prometheus_client_php, for where that is not: a metric checks its labels and hands the
 * whole of what it knows to its storage, at every update. */

namespace Prometheus\Exception {
    class StorageException extends \Exception
    {
    }
}

namespace Prometheus\Storage {
    interface Adapter
    {
        const COMMAND_INCREMENT_INTEGER = 1;
        const COMMAND_INCREMENT_FLOAT = 2;
        const COMMAND_SET = 3;

        public function collect(bool $sortMetrics = true): array;
        public function updateSummary(array $data): void;
        public function updateHistogram(array $data): void;
        public function updateGauge(array $data): void;
        public function updateCounter(array $data): void;
        public function wipeStorage(): void;
    }
}

namespace Prometheus {
    use Prometheus\Storage\Adapter;

    abstract class Collector
    {
        public function __construct(private array $known, protected Adapter $storage)
        {
        }

        protected function data(float|int $value, array $labels, array $more = []): array
        {
            if (count($labels) !== count($this->known['labelNames'])) {
                throw new \InvalidArgumentException('other labels than ' . implode(', ', $this->known['labelNames']));
            }
            return $this->known + ['value' => $value, 'labelValues' => $labels] + $more;
        }
    }

    class Counter extends Collector
    {
        public function inc(array $labels = []): void
        {
            $this->incBy(1, $labels);
        }

        public function incBy($count, array $labels = []): void
        {
            $command = is_float($count) ? Adapter::COMMAND_INCREMENT_FLOAT : Adapter::COMMAND_INCREMENT_INTEGER;
            $this->storage->updateCounter($this->data($count, $labels, ['command' => $command]));
        }
    }

    class Gauge extends Collector
    {
        public function set(float $value, array $labels = []): void
        {
            $this->storage->updateGauge($this->data($value, $labels, ['command' => Adapter::COMMAND_SET]));
        }

        public function incBy($value, array $labels = []): void
        {
            $this->storage->updateGauge($this->data($value, $labels, ['command' => Adapter::COMMAND_INCREMENT_FLOAT]));
        }

        public function inc(array $labels = []): void
        {
            $this->incBy(1, $labels);
        }

        public function dec(array $labels = []): void
        {
            $this->incBy(-1, $labels);
        }
    }

    class Histogram extends Collector
    {
        public function observe(float $value, array $labels = []): void
        {
            $this->storage->updateHistogram($this->data($value, $labels));
        }
    }

    class Summary extends Collector
    {
        public function observe(float $value, array $labels = []): void
        {
            $this->storage->updateSummary($this->data($value, $labels));
        }
    }

    class Sample
    {
        public function __construct(private array $data)
        {
        }

        public function getName(): string { return $this->data['name']; }
        public function getLabelNames(): array { return $this->data['labelNames']; }
        public function getLabelValues(): array { return $this->data['labelValues']; }
        public function getValue(): string { return (string) $this->data['value']; }
    }

    class MetricFamilySamples
    {
        public function __construct(private array $data)
        {
        }

        public function getName(): string { return $this->data['name']; }
        public function getType(): string { return $this->data['type']; }
        public function getHelp(): string { return $this->data['help']; }
        public function getLabelNames(): array { return $this->data['labelNames']; }
        /** @return Sample[] */
        public function getSamples(): array
        {
            return array_map(fn (array $sample) => new Sample($sample), $this->data['samples']);
        }
    }

    class CollectorRegistry
    {
        public function __construct(private Adapter $storage, bool $registerDefaultMetrics = true)
        {
        }

        private function known(string $type, string $namespace, string $name, string $help, array $labels): array
        {
            $full = $namespace === '' ? $name : "{$namespace}_$name";
            return ['name' => $full, 'help' => $help, 'type' => $type, 'labelNames' => $labels];
        }

        public function getOrRegisterCounter(string $space, string $name, string $help, $labels = []): Counter
        {
            return new Counter($this->known('counter', $space, $name, $help, $labels), $this->storage);
        }

        public function getOrRegisterGauge(string $space, string $name, string $help, $labels = []): Gauge
        {
            return new Gauge($this->known('gauge', $space, $name, $help, $labels), $this->storage);
        }

        public function getOrRegisterHistogram(
            string $space,
            string $name,
            string $help,
            $labels = [],
            $buckets = [0.1, 1, 10]
        ): Histogram {
            $known = $this->known('histogram', $space, $name, $help, $labels) + ['buckets' => $buckets];
            return new Histogram($known, $this->storage);
        }

        public function getOrRegisterSummary(string $space, string $name, string $help, $labels = []): Summary
        {
            $known = $this->known('summary', $space, $name, $help, $labels);
            return new Summary($known + ['maxAgeSeconds' => 600, 'quantiles' => [0.5]], $this->storage);
        }

        public function getMetricFamilySamples(): array
        {
            return $this->storage->collect();
        }

        public function wipeStorage(): void
        {
            $this->storage->wipeStorage();
        }
    }

    class RenderTextFormat
    {
        const MIME_TYPE = 'text/plain; version=0.0.4';

        public function render(array $metrics): string
        {
            $text = '';
            foreach ($metrics as $metric) {
                $text .= "# HELP {$metric->getName()} {$metric->getHelp()}\n";
                $text .= "# TYPE {$metric->getName()} {$metric->getType()}\n";
                foreach ($metric->getSamples() as $sample) {
                    $names = array_merge($metric->getLabelNames(), $sample->getLabelNames());
                    $pairs = array_map(fn ($name, $value) => "$name=\"$value\"", $names, $sample->getLabelValues());
                    $labels = $pairs ? '{' . implode(',', $pairs) . '}' : '';
                    $text .= "{$sample->getName()}$labels {$sample->getValue()}\n";
                }
            }
            return $text;
        }
    }
}
