<?php

declare(strict_types=1);

namespace Shmetrics;

use Prometheus\Exception\StorageException;
use Prometheus\MetricFamilySamples;
use Prometheus\Storage\Adapter;

/**
 * A storage for promphp/prometheus_client_php: the values of all processes, in one segment of shared memory.
 *
 *     $registry = new Prometheus\CollectorRegistry(new Shmetrics\Storage());
 */
final class Storage implements Adapter
{
    /** @param array<string, string> $gaugeModes name of a gauge => how its processes' values become one */
    public function __construct(private array $gaugeModes = [])
    {
        if (!extension_loaded('shmetrics')) {
            throw new StorageException('the extension shmetrics is not loaded');
        }
    }

    public function updateCounter(array $data): void
    {
        update($data);
    }

    public function updateGauge(array $data): void
    {
        update($data, $this->gaugeModes[$data['name']] ?? 'shared');
    }

    public function updateHistogram(array $data): void
    {
        update($data);
    }

    public function updateSummary(array $data): void
    {
        update($data);
    }

    /** @return MetricFamilySamples[] of the whole segment, also what only other workers have declared; always sorted */
    public function collect(bool $sortMetrics = true): array
    {
        return array_map(fn (array $family) => $this->familyOf($family), array_values(families()));
    }

    public function wipeStorage(): void
    {
        throw new StorageException('a segment that other processes count in cannot be wiped: see docs/php.md');
    }

    private function familyOf(array $family): MetricFamilySamples
    {
        $names = $this->sharedNames($family);
        $samples = [];
        foreach ($family['samples'] as $sample) {
            $samples[] = [
                'name' => $sample['name'],
                'labelNames' => array_slice(array_keys($sample['labels']), count($names)),
                'labelValues' => array_values($sample['labels']),
                'value' => $sample['value'],
            ];
        }
        if ($family['type'] === 'histogram') {
            // promphp has the count before the sum.
            foreach (array_keys(array_column($samples, 'name'), $family['name'] . '_sum') as $sum) {
                [$samples[$sum], $samples[$sum + 1]] = [$samples[$sum + 1], $samples[$sum]];
            }
        }
        return new MetricFamilySamples([
            'name' => $family['name'],
            'type' => $family['type'] === 'info' ? 'gauge' : $family['type'],
            'help' => $family['help'],
            'labelNames' => $names,
            'samples' => $samples,
        ]);
    }

    /** The label names with which all samples begin: two generations of a family may differ in them. */
    private function sharedNames(array $family): array
    {
        $shared = null;
        $ofBuckets = $family['type'] === 'histogram' ? ['le'] : [];
        foreach ($family['samples'] as $sample) {
            $names = array_diff(array_keys($sample['labels']), $ofBuckets);
            $shared ??= $names;
            if ($names !== $shared) {
                return [];
            }
        }
        return $shared ?? [];
    }
}
