Gem::Specification.new do |gem|
  gem.name = 'shmetrics'
  gem.version = '0.1.0'
  gem.summary = 'Prometheus metrics of prefork servers, in shared memory'
  gem.description = 'A data store for prometheus-client (client_ruby) and prometheus-client-mmap: the counts of all ' \
                    'workers of puma and unicorn are one, and a killed worker takes none along.'
  gem.authors = ['shmetrics']
  gem.files = Dir['lib/**/*.rb', '*.c', '*.h', 'extconf.rb', base: __dir__]
  gem.extensions = ['extconf.rb']
  gem.required_ruby_version = '>= 3.0'
end
