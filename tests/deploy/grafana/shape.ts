// A dashboard by Grafana's own types, for JSON: members of enums are written as their values.
import type { Dashboard, DataQuery, FieldConfig, FieldConfigSource, Panel, RowPanel } from '@grafana/schema';
import type { Options as GaugeOptions } from './panels/gauge/panelcfg/x/GaugePanelCfg_types.gen';
import type { Options as StatOptions } from './panels/stat/panelcfg/x/StatPanelCfg_types.gen';
import type {
  FieldConfig as LineFields,
  Options as LineOptions,
} from './panels/timeseries/panelcfg/x/TimeSeriesPanelCfg_types.gen';

type Json<T> = T extends string
  ? `${T}`
  : T extends number | boolean | null | undefined
    ? T
    : T extends (infer Item)[]
      ? Json<Item>[]
      : T extends object
        ? { [Key in keyof T]: Json<T[Key]> }
        : T;

// A query to Prometheus has no type in the package.
type Query = DataQuery & { expr: string; legendFormat?: string; range?: boolean; instant?: boolean };

type Fields<Custom> = Omit<FieldConfigSource, 'defaults'> & {
  defaults: Omit<FieldConfig, 'custom'> & { custom?: Partial<Custom> };
};

// Grafana adds the options that are missing.
type PanelOf<Type, Options, Custom> = Omit<Panel, 'type' | 'options' | 'fieldConfig' | 'targets'> & {
  type: Type;
  options: Partial<Options>;
  fieldConfig: Fields<Custom>;
  targets: Query[];
};

type OurPanel =
  | RowPanel
  | PanelOf<'timeseries', LineOptions, LineFields>
  | PanelOf<'stat', StatOptions, never>
  | PanelOf<'gauge', GaugeOptions, never>;

export type Shape = Json<Omit<Dashboard, 'panels'> & { panels: OurPanel[] }>;
