# frozen_string_literal: true

module Prometheus
  module Middleware
    # Counts each answer, and how long it took.
    class Collector
      def initialize(app)
        @app = app
        registry = Client.registry
        @requests = registry.counter(:http_server_requests_total, docstring: 'Requests', labels: %i[code method path])
        @seconds = registry.histogram(:http_server_request_duration_seconds, docstring: 'Duration',
                                                                             labels: %i[method path])
      end

      def call(env)
        start = Process.clock_gettime(Process::CLOCK_MONOTONIC)
        answer = @app.call(env)
        labels = { method: env['REQUEST_METHOD'].downcase, path: env['PATH_INFO'] }
        @requests.increment(labels: labels.merge(code: answer.first))
        @seconds.observe(Process.clock_gettime(Process::CLOCK_MONOTONIC) - start, labels: labels)
        answer
      end
    end
  end
end
