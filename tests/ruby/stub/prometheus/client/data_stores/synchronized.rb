# frozen_string_literal: true

module Prometheus
  module Client
    module DataStores
      # The values of this process alone.
      class Synchronized
        def for_metric(*, **)
          Values.new
        end

        # Those of one metric.
        class Values
          def initialize
            @values = Hash.new(0.0)
          end

          def set(labels:, val:)
            @values[labels] = val.to_f
          end

          def increment(labels:, by: 1)
            @values[labels] += by
          end

          def get(labels:)
            @values[labels]
          end
        end
      end
    end
  end
end
