# frozen_string_literal: true

# Metrics of many processes in one segment: see docs/ruby.md. `shmetrics/client_ruby` and `shmetrics/client_mmap` put it
# behind the gems that programs use already.
require 'shmetrics_core'

module Shmetrics
  # In the order of enum shmetrics_gauge_mode.
  MODES = %i[livesum livemin livemax liveall livemostrecent sum min max mostrecent all shared].freeze

  # `exit!` skips what runs at the end of a process, and unicorn's workers leave by it. A master of puma that restarts
  # becomes its successor by `exec`; who comes back from it goes on.
  module Ends
    def self.leave
      Shmetrics.release_worker
      yield
    ensure
      Shmetrics.resume_worker
    end

    def exit!(*)
      Shmetrics.release_worker
      super
    end

    def exec(*) = Ends.leave { super }
  end

  # The parent of a daemon skips it, too.
  module Daemon
    def daemon(*) = Ends.leave { super }
  end
  private_constant :Ends, :Daemon
  Process.singleton_class.prepend(Ends, Daemon)
  Kernel.prepend(Ends.clone.tap { |ends| ends.send(:private, :exit!, :exec) })
  Kernel.singleton_class.prepend(Ends)
end

# What the table of workers calls this program. Servers write their title over the command line; unicorn into $0, too.
Shmetrics.program = File.basename($PROGRAM_NAME[/\S+/] || 'ruby')

# Registered first, so it runs last. A signal without a handler ends Ruby by that signal, behind these.
at_exit { Shmetrics.release_worker }
