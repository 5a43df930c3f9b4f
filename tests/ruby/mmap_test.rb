# frozen_string_literal: true

# Debian's prometheus-client-mmap over a segment: its calls, its Rack middleware, and many processes.
require 'minitest/autorun'
begin
  require 'shmetrics/client_mmap'
rescue LoadError => e
  raise unless e.path&.start_with?('prometheus/')

  warn "skipped: prometheus-client-mmap is not here: #{e.message}"
  exit!(77)
end
require 'prometheus/client/rack/collector'
require 'prometheus/client/rack/exporter'

class MmapTest < Minitest::Test
  def in_process
    Process.wait(fork { yield; Process.kill(:KILL, Process.pid) })
  end

  def page
    Prometheus::Client::Formats::Text.marshal_multiprocess
  end

  def registry
    @registry ||= Prometheus::Client::Registry.new
  end

  def test_what_killed_processes_have_counted_is_shown_with_its_help
    counter = registry.counter(:mmap_hits_total, 'How often')
    3.times { in_process { counter.increment({ path: '/' }, 2) } }
    assert_equal 6.0, counter.get({ path: '/' })
    assert_includes page, "# HELP mmap_hits_total How often\n# TYPE mmap_hits_total counter\n" \
                          "mmap_hits_total{path=\"/\"} 6\n"
  end

  def test_the_plug_of_the_gem_makes_values_that_all_processes_share
    make = lambda do
      Prometheus::Client.configuration.value_class.new(:counter, :plug_total, :plug_total, { path: '/' })
    end
    in_process { make.call.increment(2) }
    value = make.call
    value.increment
    assert_equal 3.0, value.get
    assert_predicate value.class, :multiprocess
    assert_includes page, 'plug_total{path="/"} 3'
  end

  def test_an_observation_is_one_and_buckets_are_those_of_the_metric
    histogram = registry.histogram(:mmap_seconds, 'S', {}, [0.5, 1, 2])
    in_process { [0.5, 1.5, 9].each { |value| histogram.observe({ path: '/' }, value) } }
    assert_equal({ 0.5 => 1.0, 1.0 => 1.0, 2.0 => 2.0 }, histogram.get({ path: '/' }))
    assert_includes page, 'mmap_seconds_bucket{path="/",le="+Inf"} 3'
    assert_includes page, 'mmap_seconds_sum{path="/"} 11'
    summary = registry.summary(:mmap_bytes, 'B')
    2.times { in_process { summary.observe({}, 2) } }
    assert_equal 4.0, summary.get
    assert_includes page, "mmap_bytes_sum 4\nmmap_bytes_count 2\n"
  end

  def test_what_is_refused_beside_another_worker_counts_when_that_has_ended
    declared, write = IO.pipe
    pid = fork do
      registry.summary(:mmap_sizes, 'S').observe({}, 1)
      write.write('x')
      sleep
    end
    assert_equal 'x', declared.read(1)
    counter = registry.counter(:mmap_sizes, 'S')
    _, said = capture_subprocess_io { counter.increment({}) }
    assert_includes said, 'workers live'
    Process.kill(:KILL, pid)
    Process.wait(pid)
    400.times do
      counter.increment({})
      break if page.include?('mmap_sizes counter')

      sleep 0.05
    end
    assert_operator counter.get({}), :>, 0
  end

  def test_gauges_have_the_modes_of_the_gem
    { livesum: '2', max: '5', min: '2', liveall: '2', all: '2' }.each do |mode, expected|
      gauge = registry.gauge(:"mmap_#{mode}", 'G', {}, mode)
      in_process { gauge.set({}, 5) }
      gauge.set({}, 3)
      gauge.decrement({}, 1)
      assert_match(/^mmap_#{mode}(\{worker="\d+"\})? #{expected}$/, page)
    end
  end

  def test_a_gauge_of_each_worker_reads_its_own_value_back
    gauge = registry.gauge(:mmap_own, 'G', {}, :all)
    read, write = IO.pipe
    in_process do
      gauge.set({}, 5)
      in_process do
        gauge.set({}, 7)
        write.write(gauge.get({}))
      end
    end
    write.close
    assert_equal '7.0', read.read
  end

  def test_its_rack_middleware_counts_and_shows_the_same_from_every_process
    builder = Prometheus::Client::Rack
    app = builder::Exporter.new(builder::Collector.new(->(_) { [200, {}, []] }))
    get = { 'REQUEST_METHOD' => 'GET', 'HTTP_HOST' => 'h', 'PATH_INFO' => '/a', 'HTTP_ACCEPT' => 'text/plain' }
    4.times { in_process { app.call(get) } }
    status, _, body = app.call(get.merge('PATH_INFO' => '/metrics'))
    assert_equal 200, status
    assert_includes body.join, 'http_requests_total{method="get",host="h",path="/a",code="200"} 4'
    assert_includes body.join, 'http_req_duration_seconds_count{method="get",host="h",path="/a",code="200"} 4'
  end
end
