/* The extension shmetrics for PHP: its functions, its settings, its life. What users of promphp know is made of it in
 * lib/. */
#include "client/php/core.h"

#include <ext/standard/info.h>

ZEND_DECLARE_MODULE_GLOBALS(shmetrics)
#ifdef ZTS
ZEND_TSRMLS_CACHE_DEFINE()
#endif

ZEND_BEGIN_ARG_WITH_RETURN_TYPE_INFO_EX(update_info, 0, 1, IS_VOID, 0)
ZEND_ARG_TYPE_INFO(0, data, IS_ARRAY, 0)
ZEND_ARG_TYPE_INFO_WITH_DEFAULT_VALUE(0, mode, IS_STRING, 0, "'shared'")
ZEND_END_ARG_INFO()
ZEND_BEGIN_ARG_WITH_RETURN_OBJ_INFO_EX(plain_info, 0, 2, Shmetrics\\Family, 0)
ZEND_ARG_TYPE_INFO(0, name, IS_STRING, 0)
ZEND_ARG_TYPE_INFO(0, help, IS_STRING, 0)
ZEND_ARG_TYPE_INFO_WITH_DEFAULT_VALUE(0, labelNames, IS_ARRAY, 0, "[]")
ZEND_END_ARG_INFO()
ZEND_BEGIN_ARG_WITH_RETURN_OBJ_INFO_EX(gauge_info, 0, 2, Shmetrics\\Family, 0)
ZEND_ARG_TYPE_INFO(0, name, IS_STRING, 0)
ZEND_ARG_TYPE_INFO(0, help, IS_STRING, 0)
ZEND_ARG_TYPE_INFO_WITH_DEFAULT_VALUE(0, labelNames, IS_ARRAY, 0, "[]")
ZEND_ARG_TYPE_INFO_WITH_DEFAULT_VALUE(0, mode, IS_STRING, 0, "'shared'")
ZEND_END_ARG_INFO()
ZEND_BEGIN_ARG_WITH_RETURN_OBJ_INFO_EX(histogram_info, 0, 2, Shmetrics\\Family, 0)
ZEND_ARG_TYPE_INFO(0, name, IS_STRING, 0)
ZEND_ARG_TYPE_INFO(0, help, IS_STRING, 0)
ZEND_ARG_TYPE_INFO_WITH_DEFAULT_VALUE(0, labelNames, IS_ARRAY, 0, "[]")
ZEND_ARG_TYPE_INFO_WITH_DEFAULT_VALUE(0, buckets, IS_ARRAY, 1, "null")
ZEND_END_ARG_INFO()
ZEND_BEGIN_ARG_WITH_RETURN_OBJ_INFO_EX(native_info, 0, 5, Shmetrics\\Family, 0)
ZEND_ARG_TYPE_INFO(0, name, IS_STRING, 0)
ZEND_ARG_TYPE_INFO(0, help, IS_STRING, 0)
ZEND_ARG_TYPE_INFO(0, labelNames, IS_ARRAY, 0)
ZEND_ARG_TYPE_INFO(0, low, IS_DOUBLE, 0)
ZEND_ARG_TYPE_INFO(0, high, IS_DOUBLE, 0)
ZEND_ARG_TYPE_INFO_WITH_DEFAULT_VALUE(0, factor, IS_DOUBLE, 0, "1.1")
ZEND_END_ARG_INFO()
ZEND_BEGIN_ARG_WITH_RETURN_TYPE_INFO_EX(render_info, 0, 0, IS_STRING, 0)
ZEND_END_ARG_INFO()
ZEND_BEGIN_ARG_WITH_RETURN_TYPE_INFO_EX(families_info, 0, 0, IS_ARRAY, 0)
ZEND_END_ARG_INFO()
ZEND_BEGIN_ARG_WITH_RETURN_TYPE_INFO_EX(inc_info, 0, 0, IS_VOID, 0)
ZEND_ARG_TYPE_INFO_WITH_DEFAULT_VALUE(0, labelValues, IS_ARRAY, 0, "[]")
ZEND_END_ARG_INFO()
ZEND_BEGIN_ARG_WITH_RETURN_TYPE_INFO_EX(value_info, 0, 1, IS_VOID, 0)
ZEND_ARG_TYPE_INFO(0, value, IS_DOUBLE, 0)
ZEND_ARG_TYPE_INFO_WITH_DEFAULT_VALUE(0, labelValues, IS_ARRAY, 0, "[]")
ZEND_END_ARG_INFO()

/* clang-format off: it takes macros without commas for one expression */
static const zend_function_entry functions[] = {
    ZEND_NS_FENTRY("Shmetrics", update, ZEND_FN(shmetrics_update), update_info, 0)
        ZEND_NS_FENTRY("Shmetrics", counter, ZEND_FN(shmetrics_counter), plain_info, 0)
            ZEND_NS_FENTRY("Shmetrics", gauge, ZEND_FN(shmetrics_gauge), gauge_info, 0)
                ZEND_NS_FENTRY("Shmetrics", histogram, ZEND_FN(shmetrics_histogram), histogram_info, 0)
                    ZEND_NS_FENTRY("Shmetrics", native_histogram, ZEND_FN(shmetrics_native_histogram), native_info, 0)
                        ZEND_NS_FENTRY("Shmetrics", summary, ZEND_FN(shmetrics_summary), plain_info, 0)
                            ZEND_NS_FENTRY("Shmetrics", render, ZEND_FN(shmetrics_render), render_info, 0)
                                ZEND_NS_FENTRY("Shmetrics", families, ZEND_FN(shmetrics_families), families_info, 0)
                                    ZEND_FE_END};

static const zend_function_entry family_methods[] = {
    ZEND_ME(Family, inc, inc_info, ZEND_ACC_PUBLIC) ZEND_ME(Family, add, value_info, ZEND_ACC_PUBLIC) ZEND_ME(
        Family, set, value_info, ZEND_ACC_PUBLIC) ZEND_ME(Family, observe, value_info, ZEND_ACC_PUBLIC) ZEND_FE_END};
/* clang-format on */

/* Of the administrator only: a script must not choose whose file it writes. */
PHP_INI_BEGIN()
STD_PHP_INI_ENTRY("shmetrics.segment", "", PHP_INI_SYSTEM, OnUpdateString, segment, zend_shmetrics_globals,
                  shmetrics_globals)
STD_PHP_INI_ENTRY("shmetrics.group", "", PHP_INI_SYSTEM, OnUpdateString, group, zend_shmetrics_globals,
                  shmetrics_globals)
STD_PHP_INI_ENTRY("shmetrics.mode", "", PHP_INI_SYSTEM, OnUpdateString, mode, zend_shmetrics_globals, shmetrics_globals)
STD_PHP_INI_ENTRY("shmetrics.series_limit", "0", PHP_INI_SYSTEM, OnUpdateLongGEZero, series_limit,
                  zend_shmetrics_globals, shmetrics_globals)
PHP_INI_END()

/* The process becomes another program, which is no death. It comes back only if that fails. */
static zif_handler pcntl_exec;
static ZEND_NAMED_FUNCTION(release_and_exec) {
  shmetrics_release_worker();
  pcntl_exec(INTERNAL_FUNCTION_PARAM_PASSTHRU);
  shmetrics_resume_worker();
}

static void wrap_exec(void) {
  zend_internal_function* found = zend_hash_str_find_ptr(CG(function_table), ZEND_STRL("pcntl_exec"));
  if (found == NULL) return;
  pcntl_exec = found->handler;
  found->handler = release_and_exec;
}

/* Opens nothing: php-fpm puts itself into the background by a fork that comes after it. */
static PHP_MINIT_FUNCTION(shmetrics) {
  (void)type;
  REGISTER_INI_ENTRIES();
  register_family(family_methods);
  wrap_exec();
  return SUCCESS;
}

static PHP_RINIT_FUNCTION(shmetrics) {
  (void)type;
  (void)module_number;
  if (SHMETRICS_G(registry) != NULL) release_at_sigterm();
  return SUCCESS;
}

static PHP_MSHUTDOWN_FUNCTION(shmetrics) {
  (void)type;
  UNREGISTER_INI_ENTRIES();
  return SUCCESS;
}

static PHP_MINFO_FUNCTION(shmetrics) {
  (void)zend_module;
  php_info_print_table_start();
  php_info_print_table_row(2, "shmetrics", SHMETRICS_PHP_VERSION);
  php_info_print_table_row(2, "segment", shmetrics_path(SHMETRICS_G(registry)));
  php_info_print_table_end();
  DISPLAY_INI_ENTRIES();
}

static PHP_GINIT_FUNCTION(shmetrics) {
#ifdef ZTS
  ZEND_TSRMLS_CACHE_UPDATE();
#endif
  memset(shmetrics_globals, 0, sizeof *shmetrics_globals);
  zend_hash_init(&shmetrics_globals->families, 16, NULL, free_family, 1);
}

static PHP_GSHUTDOWN_FUNCTION(shmetrics) {
  zend_hash_destroy(&shmetrics_globals->families);
}

static zend_module_entry shmetrics_module_entry = {STANDARD_MODULE_HEADER,
                                                   "shmetrics",
                                                   functions,
                                                   PHP_MINIT(shmetrics),
                                                   PHP_MSHUTDOWN(shmetrics),
                                                   PHP_RINIT(shmetrics),
                                                   NULL,
                                                   PHP_MINFO(shmetrics),
                                                   SHMETRICS_PHP_VERSION,
                                                   PHP_MODULE_GLOBALS(shmetrics),
                                                   PHP_GINIT(shmetrics),
                                                   PHP_GSHUTDOWN(shmetrics),
                                                   NULL,
                                                   STANDARD_MODULE_PROPERTIES_EX};

ZEND_GET_MODULE(shmetrics)
