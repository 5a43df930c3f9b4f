/* An Apache module that counts: requests by method, route and status, and how long they took.
 *
 *   LoadModule shmetrics_module modules/mod_shmetrics.so
 *   ShmetricsSegment /run/apache2/metrics.seg
 *
 * The parent opens the segment and declares, before it forks; children inherit the families. They run as another user,
 * and register label values that are new: so the file belongs to their group. Nothing has to be done when a child ends,
 * however it does.
 */
#include <httpd.h>

#include <apr_strings.h>
#include <http_config.h>
#include <http_log.h>
#include <http_protocol.h>
#include <http_request.h>
#include <shmetrics/shmetrics.h>
#include <unixd.h>
#include <util_filter.h>

extern module AP_MODULE_DECLARE_DATA shmetrics_module;
static const char kFilter[] = "SHMETRICS";
static const char* segment_path = NULL; /* NULL: $SHMETRICS_SEGMENT, or the default */
static shmetrics_counter_family* requests = NULL;
static shmetrics_histogram_family* durations = NULL;

static const char* set_segment(cmd_parms* command, void* config, const char* path) {
  (void)config;
  segment_path = ap_server_root_relative(command->pool, path);
  return segment_path == NULL ? "ShmetricsSegment needs a path" : NULL;
}

/* A server that cannot count still serves: what is NULL counts nothing. */
static int declare(apr_pool_t* config_pool, apr_pool_t* log_pool, apr_pool_t* temporary_pool, server_rec* server) {
  shmetrics_options options = SHMETRICS_OPTIONS_INIT;
  shmetrics_error opened, counted, timed;
  shmetrics_registry* registry;
  (void)config_pool, (void)log_pool, (void)temporary_pool;
  options.path = segment_path;
  if (geteuid() == 0) {
    options.mode = 0660;
    options.group = ap_unixd_config.group_id;
    options.has_group = 1;
  }
  registry = shmetrics_open(&options, &opened);
  requests = shmetrics_declare_counter(registry, "apache_http_requests_total", "Requests answered",
                                       SHMETRICS_LABELS("method", "route", "status_code"), NULL, &counted);
  durations = shmetrics_declare_histogram(registry, "apache_http_request_duration_seconds",
                                          "From the request line to the last byte", SHMETRICS_LABELS("route"), NULL, 0,
                                          NULL, &timed);
  if (requests == NULL || durations == NULL) {
    ap_log_error(APLOG_MARK, APLOG_WARNING, 0, server, "shmetrics: %s",
                 registry == NULL   ? opened.message
                 : requests == NULL ? counted.message
                                    : timed.message);
  }
  return OK;
}

/* The path without its numbers, so that values stay few. */
static shmetrics_string route_of(const request_rec* request, char* buffer, size_t capacity) {
  shmetrics_string route = {"", 0};
  if (request->uri != NULL) {
    const size_t size = shmetrics_normalize_route(request->uri, strlen(request->uri), buffer, capacity);
    route.data = buffer;
    route.size = size < capacity ? size : capacity - 1;
  }
  return route;
}

/* On the way out, and before the first byte: what a client has seen answered has been counted, also if this process is
 * killed at the next instruction. */
static apr_status_t count_answer(ap_filter_t* filter, apr_bucket_brigade* brigade) {
  request_rec* request = filter->r;
  char route[512], status[16];
  shmetrics_string values[3];
  /* Clients make methods up. */
  values[0].data = request->method_number == M_INVALID ? "other" : request->method;
  values[0].size = strlen(values[0].data);
  values[1] = route_of(request, route, sizeof route);
  values[2].data = status;
  values[2].size = (size_t)apr_snprintf(status, sizeof status, "%d", request->status);
  shmetrics_counter_inc(shmetrics_counter_with_strings(requests, values, 3));
  ap_remove_output_filter(filter);
  return ap_pass_brigade(filter->next, brigade);
}

static void insert_filter(request_rec* request) {
  ap_filter_t* filter = request->output_filters;
  while (filter != NULL && (strcasecmp(filter->frec->name, kFilter) != 0 || filter->r != request))
    filter = filter->next;
  if (filter == NULL && request->main == NULL) ap_add_output_filter(kFilter, NULL, request, request->connection);
}

static int observe_duration(request_rec* request) {
  char route[512];
  const shmetrics_string value = route_of(request, route, sizeof route);
  const double seconds = (double)(apr_time_now() - request->request_time) / APR_USEC_PER_SEC;
  shmetrics_histogram_observe(shmetrics_histogram_with_strings(durations, &value, 1), seconds);
  return OK;
}

static void register_hooks(apr_pool_t* pool) {
  (void)pool;
  ap_hook_post_config(declare, NULL, NULL, APR_HOOK_MIDDLE);
  ap_register_output_filter(kFilter, count_answer, NULL, AP_FTYPE_PROTOCOL);
  ap_hook_insert_filter(insert_filter, NULL, NULL, APR_HOOK_LAST);
  ap_hook_insert_error_filter(insert_filter, NULL, NULL, APR_HOOK_LAST);
  ap_hook_log_transaction(observe_duration, NULL, NULL, APR_HOOK_MIDDLE);
}

static const command_rec commands[] = {
    AP_INIT_TAKE1("ShmetricsSegment", set_segment, NULL, RSRC_CONF, "The file that exporter and children share"),
    {NULL, {NULL}, NULL, 0, RAW_ARGS, NULL}};

AP_DECLARE_MODULE(shmetrics) = {STANDARD20_MODULE_STUFF,
                                NULL,
                                NULL,
                                NULL,
                                NULL,
                                commands,
                                register_hooks
#if defined(AP_MODULE_FLAG_NONE)
                                ,
                                AP_MODULE_FLAG_NONE
#endif
};
