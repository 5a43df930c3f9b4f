# frozen_string_literal: true

# What an update and a scrape cost through client_ruby over a segment, through Debian's prometheus-client-mmap over a
# segment, and through that gem itself: CPU time, the least of some turns of all three, one after the other.
#
# usage: peers.rb PACKAGE CLIENT_RUBY      PACKAGE: build/release/ruby; CLIENT_RUBY: lib of a checkout of that gem, or
#                                          tests/ruby/stub
require 'etc'
require 'tmpdir'

THREE = { method: 'GET', path: '/users/:id', status: '200' }.freeze
UPDATES = 50_000
WORKERS = 1000
SERIES = 100

def cpu
  Process.clock_gettime(Process::CLOCK_PROCESS_CPUTIME_ID)
end

def nanoseconds(update)
  update.call
  (1..5).map do
    start = cpu
    i = 0
    while i < UPDATES
      update.call
      i += 1
    end
    (cpu - start) / UPDATES * 1e9
  end.min
end

# {what => a function that does it once}, and one that makes the page.
def client_ruby
  require 'shmetrics/client_ruby'
  Prometheus::Client.config.data_store = Shmetrics::Store.new
  registry = Prometheus::Client.registry
  counter = registry.counter(:requests_total, docstring: 'R', labels: THREE.keys)
  seconds = registry.histogram(:request_seconds, docstring: 'S', labels: [:path])
  gauge = registry.gauge(:level, docstring: 'L', store_settings: { aggregation: :sum })
  kept = counter.with_labels(THREE)
  one = { path: '/' }
  [{ 'kept increment' => -> { kept.increment }, 'increment, 3 labels' => -> { counter.increment(labels: THREE) },
     'observe, 1 label' => -> { seconds.observe(0.3, labels: one) }, 'gauge set' => -> { gauge.set(2) } },
   ->(labels) { counter.increment(labels: labels) },
   -> { Prometheus::Client::Formats::Text.marshal(registry) }]
end

def client_mmap(plug)
  require plug
  require 'prometheus/client/formats/text'
  registry = Prometheus::Client.registry
  counter = registry.counter(:requests_total, 'R')
  seconds = registry.histogram(:request_seconds, 'S')
  gauge = registry.gauge(:level, 'L', {}, :max)
  one = { path: '/' }
  none = {}
  [{ 'increment, 3 labels' => -> { counter.increment(THREE) },
     'observe, 1 label' => -> { seconds.observe(one, 0.3) }, 'gauge set' => -> { gauge.set(none, 2) } },
   ->(labels) { counter.increment(labels) },
   -> { Prometheus::Client::Formats::Text.marshal_multiprocess }]
end

PROGRAMS = {
  'client_ruby' => method(:client_ruby),
  'mmap_over_a_segment' => -> { client_mmap('shmetrics/client_mmap') },
  'mmap' => -> { client_mmap('prometheus/client') }
}.freeze

def measure(name)
  works, count, page = PROGRAMS.fetch(name).call
  loop_only = nanoseconds(-> {})
  works.each { |work, update| puts "#{work}, ns|#{nanoseconds(update) - loop_only}" }
  WORKERS.times do
    Process.wait(fork do
      SERIES.times { |i| count.call(THREE.merge(path: "/#{i}")) }
      exit!
    end)
  end
  text = nil
  least = (1..5).map do
    start = cpu
    text = page.call
    (cpu - start) * 1e3
  end.min
  counted = text.scan(%r{^requests_total\{.*/\d+".* (\d+)(?:\.0)?$}).sum { |found,| found.to_i }
  abort "#{name}: shows #{counted}" unless counted == WORKERS * SERIES
  puts "scrape after #{WORKERS} workers of #{SERIES} series, ms|#{least}"
end

def turn(name, package, client)
  Dir.mktmpdir('bench.', '/dev/shm') do |folder|
    path = name == 'client_ruby' ? "#{package}:#{client}" : package
    environment = { 'RUBYLIB' => path, 'SHMETRICS_SEGMENT' => "#{folder}/bench.seg",
                    'prometheus_multiproc_dir' => folder }
    IO.popen([environment, 'ruby', __FILE__, '--measure', name], &:readlines).map { |line| line.chomp.split('|') }.to_h
  end
end

if ARGV[0] == '--measure'
  measure(ARGV[1])
  exit
end

names = PROGRAMS.keys
figures = names.to_h { |name| [name, {}] }
3.times do
  names.each do |name|
    turn(name, *ARGV).each { |work, value| figures[name][work] = [figures[name][work], value.to_f].compact.min }
  end
end
model = File.read('/proc/cpuinfo')[/^model name\s*: (.*)/, 1]
puts "#{Etc.nprocessors} cores of #{model}, load #{File.read('/proc/loadavg').split.first}, Ruby #{RUBY_VERSION}"
puts "| CPU time | client_ruby over a segment | prometheus-client-mmap over a segment | prometheus-client-mmap |"
puts '| --- | --- | --- | --- |'
figures['client_ruby'].each_key do |work|
  digits = work.end_with?('ms') ? 1 : 0
  puts "| #{work} | #{names.map { |name| figures[name][work]&.round(digits) }.join(' | ')} |"
end
