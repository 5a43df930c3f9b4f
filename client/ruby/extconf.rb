# The extension of the gem: with libshmetrics_c, libshmetrics_reader and their headers where the compiler looks
# (`cmake --install`, or the package libshmetrics-dev).
require 'fileutils'
require 'mkmf'

# Sources include core.h from the root of a repository that is not here.
FileUtils.mkdir_p('root/client')
FileUtils.ln_sf(__dir__, 'root/client/ruby')
$INCFLAGS << ' -Iroot'
$CFLAGS << ' -std=gnu11'
%w[shmetrics_c shmetrics_reader].each do |library|
  have_library(library) or abort("lib#{library} is missing: see docs/ruby.md of shmetrics")
end
create_makefile('shmetrics_core')
