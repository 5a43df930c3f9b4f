# frozen_string_literal: true

require 'prometheus/client/formats/text'

module Prometheus
  module Middleware
    # Answers /metrics.
    class Exporter
      def initialize(app)
        @app = app
      end

      def call(env)
        return @app.call(env) unless env['PATH_INFO'] == '/metrics'

        [200, { 'content-type' => 'text/plain; version=0.0.4' }, [Client::Formats::Text.marshal(Client.registry)]]
      end
    end
  end
end
