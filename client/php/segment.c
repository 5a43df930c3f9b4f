/* Opening the segment by the settings of php.ini or of the pool: php-fpm clears the environment. */
#include <errno.h>
#include <grp.h>
#include <signal.h>
#include <stdlib.h>

#include <SAPI.h>
#include <zend_signal.h>

#include "client/php/core.h"

static void log_line(const char* line) {
  char* text;
  spprintf(&text, 0, "shmetrics: %s", line);
  php_log_err(text);
  efree(text);
}

/* The workers of php-fpm leave SIGTERM as it was: it ends them at once, without exit(). A reload, a stop and
 * request_terminate_timeout come by it, and so does the end of a queue's worker. */
static void release_and_die(int signal_number) {
  shmetrics_release_worker();
  signal(signal_number, SIG_DFL);
  raise(signal_number);
}

/* The engine may stand before all handlers, with a table of its own that each request begins anew. */
void release_at_sigterm(void) {
  struct sigaction now;
#ifdef ZEND_SIGNALS
  zend_signal_entry_t* next = &SIGG(handlers)[SIGTERM - 1];
  if (next->handler == (void*)SIG_DFL) *next = (zend_signal_entry_t){0, (void*)release_and_die};
#endif
  if (sigaction(SIGTERM, NULL, &now) != 0 || (now.sa_flags & SA_SIGINFO) != 0 || now.sa_handler != SIG_DFL) return;
  now.sa_handler = release_and_die;
  sigaction(SIGTERM, &now, NULL);
}

/* What the worker table calls this process: its script, or php-fpm. */
static void tell_program(void) {
  const char* script = SG(request_info).path_translated;
  if (strcmp(sapi_module.name, "cli") != 0 || script == NULL) {
    shmetrics_set_program(strcmp(sapi_module.name, "fpm-fcgi") == 0 ? "php-fpm" : "php");
    return;
  }
  const char* slash = strrchr(script, '/');
  shmetrics_set_program(slash == NULL ? script : slash + 1);
}

/* NULL, or the line that says what is wrong with the setting. */
static const char* read_group(shmetrics_options* options) {
  const char* name = SHMETRICS_G(group);
  struct group entry, *found = NULL;
  if (name[0] == '\0') return NULL;
  char* end;
  const unsigned long number = strtoul(name, &end, 10);
  options->has_group = 1;
  options->group = (uint32_t)number;
  if (*end == '\0') return NULL;
  size_t size = 16384;
  char* room = emalloc(size);
  /* A group of many members may need more room than any limit says. */
  while (getgrnam_r(name, &entry, room, size, &found) == ERANGE) room = erealloc(room, size *= 2);
  if (found != NULL) options->group = found->gr_gid;
  efree(room);
  return found == NULL ? "shmetrics.group is no group of this machine" : NULL;
}

static const char* read_mode(shmetrics_options* options) {
  const char* digits = SHMETRICS_G(mode);
  if (digits[0] == '\0') return NULL;
  char* end;
  const unsigned long mode = strtoul(digits, &end, 8);
  if (*end != '\0' || mode == 0 || mode > 0777) return "shmetrics.mode has to be octal, such as 0660";
  options->mode = (uint32_t)mode;
  return NULL;
}

shmetrics_registry* opened_segment(void) {
  if (SHMETRICS_G(registry) != NULL) return SHMETRICS_G(registry);
  const double now = shmetrics_now();
  if (now < SHMETRICS_G(retry_at)) return NULL;
  const int is_first = SHMETRICS_G(retry_at) == 0;
  SHMETRICS_G(retry_at) = now + 1;

  shmetrics_options options = SHMETRICS_OPTIONS_INIT;
  shmetrics_error error = {0, ""};
  const char* problem = read_group(&options);
  if (problem == NULL) problem = read_mode(&options);
  options.path = SHMETRICS_G(segment);
  options.series_per_family = (uint32_t)MAX(0, MIN(SHMETRICS_G(series_limit), UINT32_MAX));
  options.code_changes = 1;
  options.on_error = log_line;
  if (problem == NULL) {
    if (is_first) tell_program();
    SHMETRICS_G(registry) = shmetrics_open(&options, &error);
    if (SHMETRICS_G(registry) == NULL) problem = error.message;
  }
  if (problem == NULL) {
    release_at_sigterm();
  } else if (is_first) {
    log_line(problem);
  }
  return SHMETRICS_G(registry);
}
