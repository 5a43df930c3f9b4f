# frozen_string_literal: true

# A test with a store of its own, and with other processes.
require 'minitest/autorun'
require 'tmpdir'
require 'shmetrics/client_ruby'

class StoreTest < Minitest::Test
  CONFIG = Prometheus::Client.config
  FOO = { foo: 'bar' }.freeze

  # In a process of its own, since a process can open no more than 8 segments.
  def run
    result, write = IO.pipe.each(&:binmode)
    pid = fork do
      write.write(Marshal.dump(super()))
      write.close
      exit!
    end
    write.close
    Marshal.load(result.read).tap { Process.wait(pid) }
  end

  def setup
    @folder = Dir.mktmpdir('shmetrics-test.', File.writable?('/dev/shm') ? '/dev/shm' : nil)
    @store = Shmetrics::Store.new(segment: File.join(@folder, "#{name}.seg"))
    CONFIG.data_store = @store
  end

  def teardown
    FileUtils.remove_entry(@folder)
  end

  def metric_store(type = :counter, **settings)
    @store.for_metric(:metric_name, metric_type: type, metric_settings: settings)
  end

  # Runs the block in a process that lives on until the test ends, or ends in order, or is killed.
  def in_process(last = :live)
    done, wrote = IO.pipe
    pid = fork do
      yield
      wrote.write('x')
      wrote.close
      sleep if last == :live
      Process.kill(:KILL, Process.pid) if last == :killed
      exit!
    end
    wrote.close
    assert_equal 'x', done.read(1)
    done.close
    last == :live ? (@living ||= []) << pid : Process.wait(pid)
    pid
  end

  def after_teardown
    (@living || []).each do |pid|
      Process.kill(:KILL, pid)
      Process.wait(pid)
    end
  end

  def shown(registry = Prometheus::Client.registry)
    Prometheus::Client::Formats::Text.marshal(registry)
  end
end
