# frozen_string_literal: true

# The gem prometheus-client (client_ruby) over a segment. After it is required:
#
#   Prometheus::Client.config.data_store = Shmetrics::Store.new
#
# A store is told neither help, labels nor buckets, and an observation is several increments to it. So what a metric
# knows is handed over here, and an observation stays one.
require 'prometheus/client'
require 'prometheus/client/formats/text'
require 'shmetrics/store'

module Shmetrics
  # Prepended to the classes of client_ruby. With another data store they do what they did.
  module ClientRuby
    NO_LABELS = {}.freeze

    # Metric
    module Metric
      def initialize(name, **)
        super
        declare_in_segment
      end

      # Histogram and Summary have one of their own, which is above this module.
      def init_label_set(labels)
        declare_in_segment ? @store.show(label_set_for(labels)) : super
      end

      private

      # False: it counts somewhere else.
      def declare_in_segment
        return false unless @store.is_a?(MetricStore)

        @store.declare(@labels, docstring, respond_to?(:buckets) ? buckets : [])
        true
      end

      # What updates go to: the family, or the series of a metric whose labels are all preset. It says itself whether
      # the labels fit. If they do, the gem need not look at them, which takes it a µs. nil: it has to, or counts
      # elsewhere.
      def in_segment
        return unless @store.is_a?(MetricStore)

        if @all_labels_preset
          @in_segment = @store.series(preset_labels)
        elsif preset_labels.empty?
          @in_segment = @store.family
        end
      end
    end

    # Counter
    module Counter
      def increment(by: 1, labels: NO_LABELS)
        (by >= 0 && (@in_segment || in_segment)&.add(labels, by)) || super
      end
    end

    # Gauge
    module Gauge
      def set(value, labels: NO_LABELS)
        (value.is_a?(Numeric) && (@in_segment || in_segment)&.set(labels, value)) || super
      end

      def increment(by: 1, labels: NO_LABELS)
        (@in_segment || in_segment)&.add(labels, by) || super
      end

      def decrement(by: 1, labels: NO_LABELS)
        (@in_segment || in_segment)&.add(labels, -by) || super
      end
    end

    # Histogram and Summary
    module Observing
      def observe(value, labels: NO_LABELS)
        return super unless @store.is_a?(MetricStore)

        (@in_segment || in_segment)&.observe(labels, value) || @store.observe(label_set_for(labels), value)
      end

      def init_label_set(labels)
        declare_in_segment ? @store.show(label_set_for(labels)) : super
      end

      def get(labels: NO_LABELS)
        return super unless @store.is_a?(MetricStore)

        found = @store.get(labels: label_set_for(labels))
        parts.to_h { |part| [part, found ? found.fetch(part, 0.0) : 0.0] }
      end

      def values
        @store.is_a?(MetricStore) ? @store.all_values : super
      end

      private

      def parts
        respond_to?(:buckets) ? buckets.map(&:to_s) + %w[+Inf sum] : %w[count sum]
      end
    end

    # Formats::Text: one look at the segment for the whole page.
    module Text
      def marshal(registry)
        store = Prometheus::Client.config.data_store
        store.is_a?(Store) && store.segment ? store.text(registry) : super
      end
    end
  end

  Prometheus::Client::Metric.prepend(ClientRuby::Metric)
  Prometheus::Client::Counter.prepend(ClientRuby::Counter)
  Prometheus::Client::Gauge.prepend(ClientRuby::Gauge)
  Prometheus::Client::Histogram.prepend(ClientRuby::Observing)
  Prometheus::Client::Summary.prepend(ClientRuby::Observing)
  Prometheus::Client::Formats::Text.singleton_class.prepend(ClientRuby::Text)
end
