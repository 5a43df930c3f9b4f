#!/usr/bin/ruby
# prometheus-client-mmap at the work of bench/peers: see run.sh.
#
# usage: client_mmap.rb update|scrape|churn      with an empty folder in prometheus_multiproc_dir
#
# It has no handle to a series: what is counted is looked up each time, with its labels in a hash that is made once.
require 'prometheus/client'
require 'prometheus/client/formats/text'

LOOKED_UP = 1000
SCRAPED = 10_000
PROCESSES = 8
DEAD_WORKERS = 1000
DEAD_SERIES = 100
BOUNDS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30].freeze
FOLDER = ENV.fetch('prometheus_multiproc_dir')

def label_sets(count)
  methods = %w[GET POST PUT DELETE]
  statuses = %w[200 201 404 500 503]
  (0...count).map do |i|
    { method: methods[i % 4], route: "/api/v1/resource/#{i / 20}", status_code: statuses[i / 4 % 5] }
  end
end

def seconds
  Process.clock_gettime(Process::CLOCK_MONOTONIC)
end

def least_seconds(rounds)
  (1..rounds).map do
    start = seconds
    yield
    seconds - start
  end.min
end

def say(name, value)
  puts format('%s %.6g', name, value)
  $stdout.flush
end

def must_hold(holds, what)
  abort "wrong result: #{what}" unless holds
end

def sum_of(text, series)
  text.each_line.select { |line| line.start_with?(series) }.sum { |line| line.split(' ').last.to_f }
end

def scraped
  Prometheus::Client::Formats::Text.marshal_multiprocess(FOLDER)
end

def folder_bytes
  Dir.glob(File.join(FOLDER, '*')).sum { |file| File.stat(file).blocks * 512 }
end

def in_child
  $stdout.flush
  pid = fork do
    yield
    exit!(0)
  end
  Process.wait(pid)
  must_hold($?.success?, 'a worker')
end

def registry
  @registry ||= Prometheus::Client::Registry.new
end

def update
  rounds = 7
  updates = 50_000
  held = registry.counter(:held_total, 'Held')
  requests = registry.counter(:http_requests_total, 'Requests')
  histogram = registry.histogram(:duration_seconds, 'Duration', {}, BOUNDS)
  sets = label_sets(LOOKED_UP)
  values = (0...1000).map { |k| 0.001 * 10**(4.8 * (k * 397 % 1024) / 1024.0) }
  none = {}
  say('counter_ns', least_seconds(rounds) { updates.times { held.increment(none) } } / updates * 1e9)
  say('lookup_ns', least_seconds(rounds) do
    (updates / LOOKED_UP).times { sets.each { |set| requests.increment(set) } }
  end / updates * 1e9)
  say('histogram_ns', least_seconds(rounds) do
    (updates / values.size).times { values.each { |value| histogram.observe(none, value) } }
  end / updates * 1e9)
  text = scraped
  %w[held_total http_requests_total duration_seconds_count].each do |series|
    must_hold(sum_of(text, series) == rounds * updates, series)
  end
end

def scrape
  PROCESSES.times do
    in_child do
      requests = registry.counter(:http_requests_total, 'Requests')
      label_sets(SCRAPED).each_with_index { |set, i| requests.increment(set, i) }
    end
  end
  say('scrape_ms', least_seconds(10) { scraped } * 1e3)
  text = scraped
  must_hold(sum_of(text, 'http_requests_total') == PROCESSES * SCRAPED * (SCRAPED - 1) / 2, 'scrape')
  say('text_bytes', text.bytesize)
  say('bytes_per_series', folder_bytes.to_f / (PROCESSES * SCRAPED))
end

def churn
  (1..DEAD_WORKERS).each do |worker|
    in_child do
      requests = registry.counter(:http_requests_total, 'Requests')
      label_sets(DEAD_SERIES).each { |set| requests.increment(set) }
    end
    next unless [1, DEAD_WORKERS].include?(worker)
    name = worker == 1 ? 'churn_one' : 'churn'
    say("#{name}_ms", least_seconds(10) { scraped } * 1e3)
    say("#{name}_bytes", folder_bytes)
  end
  must_hold(sum_of(scraped, 'http_requests_total') == DEAD_WORKERS * DEAD_SERIES, 'counts of dead workers')
end

{ 'update' => method(:update), 'scrape' => method(:scrape), 'churn' => method(:churn) }.fetch(ARGV[0]).call
