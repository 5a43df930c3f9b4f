# frozen_string_literal: true

# What the servers of the tests run: each answer is counted before it is given, in a counter, a histogram and a gauge.
# With SHMETRICS_GEM=mmap by Debian's prometheus-client-mmap, else by client_ruby.
IS_MMAP = ENV['SHMETRICS_GEM'] == 'mmap'
require IS_MMAP ? 'shmetrics/client_mmap' : 'shmetrics/client_ruby'

def declare
  registry = Prometheus::Client.registry
  if IS_MMAP
    [registry.counter(:app_requests_total, 'Requests'), registry.histogram(:app_request_seconds, 'Duration'),
     registry.gauge(:app_active, 'Active', {}, :livesum)]
  else
    Prometheus::Client.config.data_store = Shmetrics::Store.new
    [registry.counter(:app_requests_total, docstring: 'Requests', labels: [:path]),
     registry.histogram(:app_request_seconds, docstring: 'Duration', labels: [:path]),
     registry.gauge(:app_active, docstring: 'Active', store_settings: { aggregation: :livesum })]
  end
end

REQUESTS, SECONDS, ACTIVE = declare

def page
  text = Prometheus::Client::Formats::Text
  IS_MMAP ? text.marshal_multiprocess : text.marshal(Prometheus::Client.registry)
end

def count(path)
  labels = { path: path }
  if IS_MMAP
    ACTIVE.increment({}, 1)
    REQUESTS.increment(labels)
    SECONDS.observe(labels, 0.003)
    ACTIVE.decrement({}, 1)
  else
    ACTIVE.increment
    REQUESTS.increment(labels: labels)
    SECONDS.observe(0.003, labels: labels)
    ACTIVE.decrement
  end
end

APP = lambda do |env|
  path = env['PATH_INFO']
  next [200, { 'content-type' => 'text/plain; version=0.0.4' }, [page]] if path == '/metrics'

  count(path)
  Process.kill(:KILL, Process.pid) if path == '/die'
  sleep if path == '/hang'
  [200, { 'content-type' => 'text/plain' }, [Process.pid.to_s]]
end
