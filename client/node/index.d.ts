// The types are those of the package that is there; where two are, of the first. The others are missing then, or the same
// names again.
// @ts-ignore
export * from 'prom-client';
// @ts-ignore
export * from '@prometheus-io/client';
// @ts-ignore: where an alias of npm gives this package the name prom-client, this is the real one.
export * from 'prom-client-original';

/** How the workers' values of a gauge become one, in the place of `aggregator`; docs/merge-rules.md. */
export type GaugeMode = 'livesum' | 'livemin' | 'livemax' | 'liveall' | 'livemostrecent' | 'sum' | 'min' | 'max' |
  'mostrecent' | 'all' | 'shared';

export interface Limited {
  /** Label sets before they share the series whose labels read `__overflow__`; 1,000. */
  seriesLimit?: number;
}

export interface Merged extends Limited {
  mode?: GaugeMode;
}

// @ts-ignore
declare module 'prom-client' {
  interface CounterConfiguration<T extends string> extends Limited {}
  interface HistogramConfiguration<T extends string> extends Limited {}
  interface SummaryConfiguration<T extends string> extends Limited {}
  interface GaugeConfiguration<T extends string> extends Merged {}
}

// @ts-ignore
declare module '@prometheus-io/client' {
  interface CounterConfiguration<T extends string> extends Limited {}
  interface HistogramConfiguration<T extends string> extends Limited {}
  interface SummaryConfiguration<T extends string> extends Limited {}
  interface GaugeConfiguration<T extends string> extends Merged {}
}

/** A registry whose metrics have a segment of their own, at this path. It shows all of that segment. */
// @ts-ignore
export function registryOf(segment: string): typeof import('@shmetrics/prom-client').register;

/** Says that this process ends in order; exit() does it by itself. */
export function releaseWorker(): void;
