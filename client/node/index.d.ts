export * from 'prom-client';
// @ts-ignore: where an alias of npm gives this package the name prom-client, this is the real one.
export * from 'prom-client-original';

/** How the workers' values of a gauge become one, in the place of `aggregator`; docs/merge-rules.md. */
export type GaugeMode = 'livesum' | 'livemin' | 'livemax' | 'liveall' | 'livemostrecent' | 'sum' | 'min' | 'max' |
  'mostrecent' | 'all';

interface Limited {
  /** Label sets before they share the series whose labels read `__overflow__`; 1,000. */
  seriesLimit?: number;
}

declare module 'prom-client' {
  interface CounterConfiguration<T extends string> extends Limited {}
  interface HistogramConfiguration<T extends string> extends Limited {}
  interface SummaryConfiguration<T extends string> extends Limited {}
  interface GaugeConfiguration<T extends string> extends Limited {
    mode?: GaugeMode;
  }
}

/** Says that this process ends in order; exit() does it by itself. */
export function releaseWorker(): void;
