# A Rack application whose workers count in shared memory; any of them answers /metrics for all:
#
#   SHMETRICS_SEGMENT=/dev/shm/app.seg puma -w 4 --preload puma_app.ru
require 'shmetrics/client_ruby'
Prometheus::Client.config.data_store = Shmetrics::Store.new

require 'prometheus/middleware/collector'
require 'prometheus/middleware/exporter'
use Prometheus::Middleware::Collector
use Prometheus::Middleware::Exporter

greetings = Prometheus::Client.registry.counter(:app_greetings_total, docstring: 'Greetings', labels: [:language])

run lambda { |_env|
  greetings.increment(labels: { language: 'en' })
  [200, { 'content-type' => 'text/plain' }, ["hello\n"]]
}
