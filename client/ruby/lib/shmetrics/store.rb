# frozen_string_literal: true

require 'prometheus/client/data_stores/synchronized'
require 'shmetrics'

module Shmetrics
  # A data store for Prometheus::Client.config.data_store: the values of all processes, in one segment.
  class Store
    class InvalidStoreSettingsError < StandardError; end

    # What client_ruby's words for aggregations are here. Any word of MODES is one for a gauge, too.
    AGGREGATIONS = { most_recent: :mostrecent }.freeze
    SETTINGS = %i[aggregation series_limit].freeze

    attr_reader :segment

    # `segment`: a path; without one $SHMETRICS_SEGMENT, or the default path. If it cannot be opened, that is said on
    # stderr, and the program runs all the same: each process counts for itself.
    def initialize(segment: nil)
      @families = {}
      @lock = Mutex.new
      @segment = Segment.open(segment)
    rescue Error => e
      warn "shmetrics: #{e.message}; until it is started again, each process counts for itself"
      @of_this_process = Prometheus::Client::DataStores::Synchronized.new
    end

    def for_metric(metric_name, metric_type:, metric_settings: {})
      mode = mode_of(metric_type, metric_settings)
      return @of_this_process.for_metric(metric_name, metric_type: metric_type) unless segment

      MetricStore.new(self, metric_name.to_s, metric_type, mode, metric_settings.fetch(:series_limit, 0))
    end

    # Finds the family, or declares it. One object a schema, so that with_labels costs no declaration.
    def family(*schema)
      @families[schema] || @lock.synchronize { @families[schema] ||= segment.declare(*schema) }
    end

    # The text of what a registry has, from all processes. The default registry shows the whole segment: also what only
    # other workers have declared yet.
    def text(registry)
      return segment.text if registry.equal?(Prometheus::Client.registry)

      segment.text(registry.metrics.map { |metric| metric.name.to_s })
    end

    private

    def mode_of(type, settings)
      strangers = settings.keys - SETTINGS
      raise InvalidStoreSettingsError, "no such settings: #{strangers.join(', ')}" unless strangers.empty?

      wanted = settings.fetch(:aggregation, type == :gauge ? :all : :sum)
      mode = AGGREGATIONS.fetch(wanted, wanted)
      return mode if type == :gauge ? MODES.include?(mode) : mode == :sum

      raise InvalidStoreSettingsError, "no aggregation of a #{type}: #{wanted.inspect}"
    end
  end

  # What one metric of client_ruby counts in.
  class MetricStore
    ZEROS = %i[sum livesum all liveall shared].freeze # modes in which a 0 at the beginning hurts no value that is there

    # `series_limit`: 0 is the segment's own.
    def initialize(store, name, type, mode, series_limit)
      @store = store
      @name = name
      @type = type
      @mode = mode
      @series_limit = series_limit
      @bound_names = {}
      @only_set = %i[mostrecent livemostrecent].include?(mode)
    end

    # Tells it what for_metric() is not told. Without, the first update declares by the labels that it has.
    def declare(labels, help, buckets = [])
      @bound_names = buckets.to_h { |bound| [bound.to_f, bound.to_s] }
      bounds = @bound_names.keys.select(&:finite?)
      @family = @store.family(@type.to_s, @name, help, labels, bounds, MODES.index(@mode), @series_limit)
    end

    # An observation is one update, and so is every other: there is nothing to lock.
    def synchronize
      yield
    end

    def set(labels:, val:)
      return fit(family_for(labels).set(labels, val), labels) if @type == :gauge

      missing = val - (val.zero? ? 0 : get(labels: labels))
      raise ArgumentError, "a #{@type} cannot be set to less than it has counted" if missing.negative?

      fit(family_for(labels).add(labels, missing), labels)
    end

    def increment(labels:, by: 1)
      raise Store::InvalidStoreSettingsError, 'a most recent value can only be set' if @only_set

      fit(family_for(labels).add(labels, by), labels)
    end

    def observe(labels, value)
      fit(@family.observe(labels, value), labels)
    end

    # Takes updates by labels that nobody has looked at.
    attr_reader :family

    # Takes the updates of these labels, and looks nothing up.
    def series(labels)
      @family.series(labels)
    end

    # Shows the labels' series from now on, at 0 where that changes no value of another process.
    def show(labels)
      @type != :gauge ? @family.series(labels) : ZEROS.include?(@mode) && @family.add(labels, 0)
    end

    # The value of all processes; in the modes of each worker, this one's.
    def get(labels:)
      return family_for(labels).own(labels) || 0.0 if %i[all liveall].include?(@mode)

      all_values[labels.transform_values(&:to_s)]
    end

    # Of all processes. {labels => number}, of a histogram {labels => {bound => number}} with `+Inf` and `sum`.
    def all_values
      values = @store.segment.values(@name)
      case @type
      when :histogram then values.each_value { |parts| rename(parts) }
      when :summary then values
      else values.default = 0.0
      end
      values
    end

    private

    def family_for(labels)
      @family || declare(labels.keys, @name)
    end

    def fit(done, labels)
      done || raise(ArgumentError, "#{@name} has other labels than #{labels.keys}")
    end

    # Bounds as the program wrote them: 1 is "1" there, and 1.0 is "1.0".
    def rename(parts)
      parts.delete('count')
      parts.transform_keys! { |part| part.match?(/\A[+-]?[\d.]/) ? @bound_names.fetch(part.to_f, part) : part }
    end
  end
end
