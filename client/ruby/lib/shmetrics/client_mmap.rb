# frozen_string_literal: true

# The gem prometheus-client-mmap, up to 0.x, over a segment: the same calls, and no files. Requiring it is all.
#
# The gem's own plug is a class for single values, which is told neither help nor buckets, and makes an observation many
# updates. So the metrics hand out values of ours, and the plug says that they are of many processes.
#
# If the segment cannot be opened, that is said on stderr, and the gem keeps its files.
require 'prometheus/client'
require 'prometheus/client/formats/text'
require 'shmetrics'

module Shmetrics
  # Values of that gem's metrics, and what is prepended to its classes.
  module ClientMmap
    NO_LABELS = {}.freeze

    # One series. `get` is the value of all processes, in the modes of each worker this one's.
    class Value
      def self.multiprocess
        true
      end

      # Also what other code makes by value_class.new.
      def initialize(type, metric_name, _name, labels, mode = '', help: metric_name.to_s, bounds: [])
        names = labels.keys
        family = ClientMmap.family(type.to_s, metric_name.to_s, help, names, bounds, MODES.index(mode.to_sym) || 0)
        @name = metric_name.to_s
        @labels = labels.to_h { |name, value| [name, value.to_s] }
        @own = family if %i[all liveall].include?(mode.to_sym)
        series = family.series(@labels)
        @place, @given = series ? [series, NO_LABELS] : [family, @labels]
      end

      def increment(amount = 1)
        @place.add(@given, amount)
      end

      def decrement(amount = 1)
        @place.add(@given, -amount)
      end

      def set(value)
        @place.set(@given, value)
      end

      def observe(value)
        @place.observe(@given, value)
      end

      def get
        return @own.own(@labels) || 0.0 if @own

        found = ClientMmap.segment.values(@name)
        found.fetch(@labels) { found.find { |labels, _| @labels <= labels }&.last || 0.0 }
      end
    end

    # Of a histogram: {bound => number of observations up to it}.
    class Distribution < Value
      def initialize(*arguments, bounds:, **options)
        super
        @bounds = bounds
      end

      def get
        parts = super
        @bounds.to_h { |bound| [bound, parts == 0.0 ? 0.0 : parts.find { |part, _| part.to_f == bound }.last] }
      end
    end

    # Of a summary: what metric.get and metric.values give is the sum.
    class Sum < Value
      def sum
        Struct.new(:get).new(get)
      end

      def get
        parts = super
        parts == 0.0 ? 0.0 : parts.fetch('sum')
      end
    end

    module Counter
      def default(labels)
        Value.new(:counter, name, name, labels, help: docstring)
      end
    end

    module Gauge
      def default(labels)
        Value.new(:gauge, name, name, labels, @multiprocess_mode, help: docstring)
      end
    end

    module Histogram
      def default(labels)
        bounds = @buckets.map(&:to_f).select(&:finite?)
        Distribution.new(:histogram, name, name, labels, help: docstring, bounds: bounds)
      end
    end

    module Summary
      def default(labels)
        Sum.new(:summary, name, name, labels, help: docstring)
      end
    end

    # What its Rack exporter shows: the whole segment, also what only other workers have declared yet.
    module Text
      def marshal_multiprocess(*)
        ClientMmap.segment.text
      end
    end

    @families = {}
    @lock = Mutex.new

    class << self
      # $SHMETRICS_SEGMENT, or the default path.
      def segment
        @segment ||= Segment.open
      end

      def family(*schema)
        @families[schema] || @lock.synchronize { @families[schema] ||= segment.declare(*schema, 0) }
      end
    end
  end

  begin
    ClientMmap.segment
    %i[Counter Gauge Histogram Summary].each do |name|
      Prometheus::Client.const_get(name).prepend(ClientMmap.const_get(name))
    end
    Prometheus::Client::Formats::Text.singleton_class.prepend(ClientMmap::Text)
    Prometheus::Client.configuration.value_class = ClientMmap::Value
  rescue Error => e
    warn "shmetrics: #{e.message}; prometheus-client-mmap keeps its files"
  end
end
