# frozen_string_literal: true

# A stand-in for the gem prometheus-client, which no package of Debian brings: its metrics as far as they meet a data
# store. Written from its documents, to the names of its instance variables that shmetrics/client_ruby looks at. With
# SHMETRICS_CLIENT_RUBY=LIB the tests use the real one instead; docs/ruby.md says how.
module Prometheus
  module Client
    class Config
      attr_accessor :data_store
    end

    # Counter, Gauge, Histogram, Summary by what they have in common.
    class Metric
      attr_reader :name, :docstring, :labels, :preset_labels

      def initialize(name, docstring:, labels: [], preset_labels: {}, store_settings: {})
        raise ArgumentError, 'a name is a symbol' unless name.is_a?(Symbol)

        @name = name
        @docstring = docstring
        @labels = labels
        @settings = store_settings
        @preset_labels = preset_labels.transform_values(&:to_s)
        @all_labels_preset = preset_labels.size == labels.size
        @store = Client.config.data_store.for_metric(name, metric_type: type, metric_settings: store_settings)
        init_label_set({}) if labels.empty?
      end

      def with_labels(more)
        copy = self.class.new(name, labels: labels, preset_labels: preset_labels.merge(more), **options)
        copy.replace_internal_store(@store)
        copy
      end

      def get(labels: {})
        @store.get(labels: label_set_for(labels))
      end

      def init_label_set(labels)
        @store.set(labels: label_set_for(labels), val: 0)
      end

      def values
        @store.all_values
      end

      protected

      def replace_internal_store(store)
        @store = store
      end

      private

      def options
        { docstring: docstring, store_settings: @settings }
      end

      def label_set_for(given)
        return preset_labels if @all_labels_preset && given.empty?

        all = preset_labels.merge(given.transform_values(&:to_s))
        raise ArgumentError, "labels are #{labels}" unless all.keys.sort == labels.sort

        all
      end
    end

    class Counter < Metric
      def type
        :counter
      end

      def increment(by: 1, labels: {})
        raise ArgumentError, 'a counter never falls' if by.negative?

        @store.increment(labels: label_set_for(labels), by: by)
      end
    end

    class Gauge < Metric
      def type
        :gauge
      end

      def set(value, labels: {})
        raise ArgumentError, 'not a number' unless value.is_a?(Numeric)

        @store.set(labels: label_set_for(labels), val: value)
      end

      def increment(by: 1, labels: {})
        @store.increment(labels: label_set_for(labels), by: by)
      end

      def decrement(by: 1, labels: {})
        @store.increment(labels: label_set_for(labels), by: -by)
      end
    end

    # What reaches the store of an observation without shmetrics/client_ruby is no business of these tests.
    class Histogram < Metric
      DEFAULT_BUCKETS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10].freeze
      attr_reader :buckets

      def initialize(name, buckets: DEFAULT_BUCKETS, **rest)
        @buckets = buckets
        super(name, **rest)
      end

      def type
        :histogram
      end

      def observe(*)
        raise NotImplementedError
      end
      alias init_label_set observe
      alias get observe
      alias values observe

      private

      def options
        super.merge(buckets: buckets)
      end
    end

    class Summary < Metric
      def type
        :summary
      end

      def observe(*)
        raise NotImplementedError
      end
      alias init_label_set observe
      alias get observe
      alias values observe
    end

    class Registry
      def initialize
        @metrics = {}
      end

      def metrics
        @metrics.values
      end

      { counter: Counter, gauge: Gauge, histogram: Histogram, summary: Summary }.each do |kind, type|
        define_method(kind) { |name, **options| @metrics[name] = type.new(name, **options) }
      end
    end

    def self.config
      @config ||= Config.new
    end

    def self.registry
      @registry ||= Registry.new
    end
  end
end
