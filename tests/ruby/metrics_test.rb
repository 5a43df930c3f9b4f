# frozen_string_literal: true

# The metrics of client_ruby over a segment, with real processes.
require_relative 'store_fixture'

class MetricsTest < StoreTest
  def setup
    super
    @registry = Prometheus::Client::Registry.new
  end

  def test_help_labels_and_buckets_are_known_and_an_observation_is_one
    histogram = @registry.histogram(:seconds, docstring: 'How long', labels: [:path], buckets: [0.5, 1, 2.0])
    in_process(:killed) { [0.25, 0.5, 1.5, 9].each { |value| histogram.observe(value, labels: { path: '/' }) } }
    expected = { '0.5' => 2.0, '1' => 2.0, '2.0' => 3.0, '+Inf' => 4.0, 'sum' => 11.25 }
    assert_equal expected, histogram.get(labels: { path: '/' })
    assert_equal({ { path: '/' } => expected }, histogram.values)
    assert_includes shown(@registry), "# HELP seconds How long\n# TYPE seconds histogram\n"
    assert_includes shown(@registry), "seconds_bucket{path=\"/\",le=\"2\"} 3\n"
    assert_equal [0.0], histogram.get(labels: { path: '/none' }).values.uniq
  end

  def test_summaries_have_sum_and_count
    summary = @registry.summary(:bytes, docstring: 'Size')
    2.times { in_process(:killed) { summary.observe(2.5) } }
    assert_equal({ 'count' => 2.0, 'sum' => 5.0 }, summary.get)
    assert_includes shown(@registry), "bytes_sum 5\nbytes_count 2\n"
  end

  def test_kept_labels_count_where_the_metric_does
    counter = @registry.counter(:hits_total, docstring: 'Hits', labels: %i[method path])
    assert_empty counter.tap { counter.with_labels(method: 'GET', path: '/none') }.values
    kept = counter.with_labels(method: 'GET').with_labels(path: '/')
    kept.increment
    kept.increment(by: 2)
    counter.increment(labels: { path: '/', method: :GET })
    assert_raises(ArgumentError) { kept.increment(by: -1) }
    assert_equal 4.0, counter.get(labels: { method: 'GET', path: '/' })
    seconds = @registry.histogram(:seconds, docstring: 'S', labels: [:path])
    seconds.with_labels(path: '/').observe(3)
    assert_equal 3.0, seconds.get(labels: { path: '/' })['sum']
    level = @registry.gauge(:level, docstring: 'L', labels: [:path], store_settings: { aggregation: :sum })
    level.with_labels(path: '/').tap { |of_path| of_path.set(5) }.decrement(by: 2)
    assert_equal 3.0, level.get(labels: { path: '/' })
  end

  def test_labels_that_do_not_fit_raise_and_count_nothing
    counter = @registry.counter(:hits_total, docstring: 'Hits', labels: %i[method path])
    seconds = @registry.histogram(:seconds, docstring: 'S', labels: %i[method path])
    level = @registry.gauge(:level, docstring: 'L', labels: %i[method path], store_settings: { aggregation: :sum })
    [{}, { method: 'GET' }, { method: 'GET', way: '/' }, { method: 'GET', path: '/', way: '/' }].each do |labels|
      [-> { counter.increment(labels: labels) }, -> { seconds.observe(1, labels: labels) },
       -> { level.set(1, labels: labels) }, -> { level.decrement(labels: labels) }].each do |update|
        assert_raises(StandardError, labels.inspect, &update)
      end
    end
    [counter, seconds, level].each { |metric| assert_empty metric.values }
    assert_raises(ArgumentError) { level.set('1', labels: { method: 'GET', path: '/' }) }
    level.set(5, labels: { path: '/', method: :GET })
    level.decrement(by: 2, labels: { path: '/', method: :GET })
    assert_equal({ { method: 'GET', path: '/' } => 3.0 }, level.values)
  end

  def test_a_metric_without_labels_shows_zero_from_its_declaration
    @registry.counter(:hits_total, docstring: 'Hits')
    @registry.gauge(:open, docstring: 'Open', store_settings: { aggregation: :sum })
    @registry.histogram(:seconds, docstring: 'S', buckets: [1])
    assert_includes shown(@registry), "hits_total 0\n"
    assert_includes shown(@registry), "open 0\n"
    assert_includes shown(@registry), "seconds_count 0\n"
  end

  def test_a_worker_that_starts_resets_no_gauge
    modes = { sum: 3.0, shared: 3.0, max: 3.0, min: 3.0, most_recent: 3.0 }
    declare = lambda do |mode|
      Prometheus::Client::Gauge.new(:"g_#{mode}", docstring: 'G', store_settings: { aggregation: mode })
    end
    in_process(:killed) { modes.each_key { |mode| declare.call(mode).set(3) } }
    in_process { modes.each_key(&declare) }
    assert_equal modes, modes.keys.to_h { |mode| [mode, declare.call(mode).get] }
  end

  def test_the_default_registry_shows_what_only_another_worker_has_declared
    in_process { Prometheus::Client::Counter.new(:late_total, docstring: 'Late').increment }
    @registry.counter(:mine_total, docstring: 'Mine')
    assert_includes shown, "late_total 1\n"
    refute_includes shown(@registry), 'late_total'
    assert_includes shown(@registry), "mine_total 0\n"
  end

  def test_names_of_client_ruby_are_taken_and_what_is_refused_hurts_nobody
    @registry.counter(:hits, docstring: 'H').increment
    assert_includes shown(@registry), "hits 1\n"
    many = (1..17).to_h { |i| [:"l#{i}", i] }
    _, said = capture_subprocess_io do
      @registry.counter(:many_total, docstring: 'M', labels: many.keys).increment(labels: many)
    end
    assert_includes said, 'many_total'
    _, said = capture_subprocess_io do
      Shmetrics::Store.new(segment: File.join(@folder, 'other.seg')).segment.declare('histogram', 'wide', 'W', [],
                                                                                   (1..65).to_a, 0, 0)
    end
    assert_includes said, 'wide'
  end

  def test_a_name_with_other_labels_in_the_same_process_is_refused_and_the_first_counts_on
    declare = ->(label) { Prometheus::Client::Counter.new(:hits_total, docstring: 'Hits', labels: [label]) }
    first = declare.call(:path)
    second = nil
    _, said = capture_subprocess_io { second = declare.call(:user) }
    assert_match(/hits_total.*other labels/, said)
    first.increment(labels: { path: '/' })
    second.increment(labels: { user: 1 })
    assert_equal({ { path: '/' } => 1.0 }, second.values)
  end

  def test_what_is_refused_beside_another_worker_counts_when_that_has_ended
    declare = lambda do |kind|
      [[:sizes, []], [:sizes_of_path, [:path]]].map do |name, labels|
        @registry.public_send(kind, name, docstring: 'S', labels: labels)
      end
    end
    pid = in_process { declare.call(:summary).first.observe(1) }
    _, said = capture_subprocess_io { @plain, @labelled = declare.call(:counter) }
    assert_includes said, 'workers live'
    kept = @labelled.with_labels(path: '/')
    [@plain, kept].each(&:increment)
    refute_includes shown(@registry), 'counter'
    Process.kill(:KILL, pid)
    Process.wait(pid)
    @living.delete(pid)
    400.times do
      [@plain, kept].each(&:increment)
      break if shown(@registry).scan(' counter').size == 2

      sleep 0.05
    end
    [@plain.get, kept.get].each { |value| assert_operator value, :>, 0 }
  end

  def test_without_a_segment_the_program_runs_and_counts_for_itself
    _, said = capture_subprocess_io do
      CONFIG.data_store = Shmetrics::Store.new(segment: File.join(@folder, 'none', 'a.seg'))
    end
    assert_match(/none.*counts for itself/, said)
    counter = @registry.counter(:hits_total, docstring: 'Hits', labels: [:path])
    counter.with_labels(path: '/').increment(by: 2)
    counter.increment(labels: { path: '/' })
    assert_equal 3.0, counter.get(labels: { path: '/' })
    gauge = @registry.gauge(:open, docstring: 'Open', labels: [:path], store_settings: { aggregation: :sum })
    gauge.set(4, labels: { path: '/' })
    assert_equal 4.0, gauge.get(labels: { path: '/' })
  end

  def test_threads_of_one_process_lose_nothing
    counter = @registry.counter(:hits_total, docstring: 'Hits', labels: [:path])
    threads = Array.new(8) { |i| Thread.new { 1000.times { counter.increment(labels: { path: i % 2 }) } } }
    8.times { shown(@registry) }
    threads.each(&:join)
    assert_equal [4000.0, 4000.0], counter.values.values
  end

  def test_label_sets_without_bound_share_a_series_and_cost_no_memory
    counter = @registry.counter(:hits_total, docstring: 'Hits', labels: [:path], store_settings: { series_limit: 10 })
    1995.times { |i| counter.increment(labels: { path: "/#{i}" }) }
    5.times { |i| counter.with_labels(path: "/kept/#{i}").increment }
    assert_equal 1990.0, counter.get(labels: { path: '__overflow__' })
  end

  def test_label_values_that_no_page_can_show_share_a_series
    counter = @registry.counter(:hits_total, docstring: 'Hits', labels: [:path])
    ["\xff", "a\0b", 'x' * 1025, 'é'.encode('ISO-8859-1'), 'é' * 512, nil, :sym].each do |value|
      counter.increment(labels: { path: value })
    end
    assert_equal({ '__overflow__' => 4.0, 'é' * 512 => 1.0, '' => 1.0, 'sym' => 1.0 },
                 counter.values.transform_keys { |labels| labels[:path] })
  end
end
