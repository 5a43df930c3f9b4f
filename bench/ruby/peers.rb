# frozen_string_literal: true

# What an update, a scrape and a kill inside an update cost through client_ruby over a segment, through Debian's
# prometheus-client-mmap over a segment, and through that gem itself. Times are CPU time, the least of some turns of all
# three, one after the other.
#
# Kills: some workers count and observe 1 without a pause, on 50 paths. One after the other is killed and replaced.
# After each kill another process counts on a path of its own, and makes the page. At last: which acknowledged updates
# the page lacks, and by how much the sum of the observations, of 1 each, differs from their number.
#
# usage: peers.rb PACKAGE CLIENT_RUBY      PACKAGE: build/release/ruby; CLIENT_RUBY: lib of a checkout of that gem, or
#                                          tests/ruby/stub
require 'etc'
require 'tmpdir'

THREE = { method: 'GET', path: '/users/:id', status: '200' }.freeze
UPDATES = 50_000
WORKERS = 1000
SERIES = 100
KILLS = 300
BATCH = 10 # updates before they are acknowledged
PATIENCE = 10 # seconds for an update and a page

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

# {what => a function that does it once}, one that counts, one that observes, and one that makes the page.
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
   -> { seconds.observe(1, labels: one) },
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
   -> { seconds.observe(one, 1) },
   -> { Prometheus::Client::Formats::Text.marshal_multiprocess }]
end

PROGRAMS = {
  'client_ruby' => method(:client_ruby),
  'mmap_over_a_segment' => -> { client_mmap('shmetrics/client_mmap') },
  'mmap' => -> { client_mmap('prometheus/client') }
}.freeze

def sum_of(text, pattern)
  text.scan(/^#{pattern}(?:\{.*\})? (\S+)$/).sum { |found,| found.to_f }
end

def recycle(count)
  WORKERS.times do
    Process.wait(fork do
      SERIES.times { |i| count.call(THREE.merge(path: "/#{i}")) }
      exit!
    end)
  end
end

def milliseconds(page)
  (1..5).map do
    start = cpu
    page.call
    (cpu - start) * 1e3
  end.min
end

def measure(name)
  works, count, _, page = PROGRAMS.fetch(name).call
  loop_only = nanoseconds(-> {})
  works.each { |work, update| puts "#{work}, ns|#{nanoseconds(update) - loop_only}" }
  before = sum_of(page.call, 'requests_total')
  recycle(count)
  puts "scrape after #{WORKERS} workers of #{SERIES} series, ms|#{milliseconds(page)}"
  counted = sum_of(page.call, 'requests_total') - before
  abort "#{name}: shows #{counted}" unless counted == WORKERS * SERIES
end

# Whether the block is done in time by a process of its own.
def done_in_time?
  pid = fork do
    yield
    exit!(true)
  end
  (PATIENCE * 100).times do
    return $?.success? if Process.wait(pid, Process::WNOHANG)

    sleep 0.01
  end
  Process.kill(:KILL, pid)
  Process.wait(pid)
  false
end

# A process that counts until it is killed, or told to stop between two updates.
def counting(acknowledged, count, observe)
  fork do
    stops = false
    trap(:USR1) { stops = true }
    done = 0
    until stops
      BATCH.times do
        done += 1
        count.call(THREE.merge(path: "/#{done % 50}"))
        observe.call
      end
      acknowledged.pwrite([done].pack('Q'), Process.pid * 8)
    end
    exit!
  end
end

def kill_inside_updates(name)
  _, count, observe, page = PROGRAMS.fetch(name).call
  acknowledged = File.open(File.join(Dir.mktmpdir('bench.', '/dev/shm'), 'acknowledged'), 'w+b')
  workers = []
  KILLS.times do |kill|
    workers << counting(acknowledged, count, observe) while workers.size < 3
    sleep rand(0.001..0.02)
    victim = workers.shift
    Process.kill(:KILL, victim)
    Process.wait(victim)
    next if done_in_time? do
      count.call(THREE.merge(path: "/new/#{kill}"))
      page.call
    end

    workers.each { |pid| Process.kill(:KILL, pid) }
    return puts "after a kill|nobody counts or sees a page any more, at kill #{kill + 1}"
  end
  workers.each { |pid| Process.kill(:USR1, pid) }
  workers.each { |pid| Process.wait(pid) }
  text = page.call
  updates = acknowledged.read.unpack('Q*').sum + KILLS
  counted = sum_of(text, 'requests_total')
  count_of, sum = %w[request_seconds_count request_seconds_sum].map { |part| sum_of(text, part) }
  puts "after #{KILLS} kills|#{[updates - counted, 0].max.to_i} of #{updates} updates lost, " \
       "sum and count #{(sum - count_of).abs.to_i} apart"
ensure
  FileUtils.remove_entry(File.dirname(acknowledged.path))
end

# What the program prints in a process of its own: {what => figure}.
def turn(what, name, package, client)
  Dir.mktmpdir('bench.', '/dev/shm') do |folder|
    path = name == 'client_ruby' ? "#{package}:#{client}" : package
    environment = { 'RUBYLIB' => path, 'SHMETRICS_SEGMENT' => "#{folder}/bench.seg",
                    'prometheus_multiproc_dir' => folder }
    lines = IO.popen([environment, 'ruby', __FILE__, what, name], &:readlines)
    lines.to_h { |line| line.chomp.split('|') }
  end
end

case ARGV[0]
when '--measure' then exit measure(ARGV[1]).nil?
when '--kill' then exit kill_inside_updates(ARGV[1]).nil?
end

names = PROGRAMS.keys
figures = names.to_h { |name| [name, {}] }
3.times do
  names.each do |name|
    turn('--measure', name, *ARGV).each do |work, value|
      figures[name][work] = [figures[name][work], value.to_f].compact.min
    end
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
puts
names.each { |name| turn('--kill', name, *ARGV).each { |when_, what| puts "#{name}, #{when_}: #{what}" } }
