import { Gauge, GaugeConfiguration } from 'prom-client';

export * from 'prom-client';

/** How the workers' values of a gauge become one; docs/merge-rules.md. In the place of `aggregator`. */
export type GaugeMode = 'livesum' | 'livemin' | 'livemax' | 'liveall' | 'livemostrecent' | 'sum' | 'min' | 'max' |
  'mostrecent' | 'all';

declare module 'prom-client' {
  interface GaugeConfiguration<T extends string> {
    mode?: GaugeMode;
  }
  interface CounterConfiguration<T extends string> {
    /** Label sets before they share the series whose labels read `__overflow__`. */
    seriesLimit?: number;
  }
}

/** Says that this process ends in order; exit() does it by itself. */
export function releaseWorker(): void;
