# frozen_string_literal: true

module Prometheus
  module Client
    module Formats
      module Text
        def self.marshal(_registry)
          raise NotImplementedError
        end
      end
    end
  end
end
