/* A server whose threads run scripts, as FrankenPHP's do: one after the other in each thread, all threads at once. Then
 * the page, as one more script sees it.
 *
 * usage: threads PHP_INI THREADS REQUESTS SCRIPT LAST_SCRIPT */
#include <pthread.h>
#include <sapi/embed/php_embed.h>
#include <stdlib.h>

#define MOST_THREADS 64

static const char* script;
static int requests;

static void* serve(void* context) {
  (void)context;
  ts_resource(0);
  for (int i = 0; i < requests; ++i) {
    if (php_request_startup() != SUCCESS) abort();
    if (zend_eval_string(script, NULL, "a thread") != SUCCESS) abort();
    php_request_shutdown(NULL);
  }
  ts_free_thread();
  return NULL;
}

int main(int count, char** arguments) {
  pthread_t threads[MOST_THREADS];
  if (count != 6 || atoi(arguments[2]) > MOST_THREADS) return 2;
  const int thread_count = atoi(arguments[2]);
  requests = atoi(arguments[3]);
  script = arguments[4];
  php_embed_module.php_ini_path_override = arguments[1];
  if (php_embed_init(1, arguments) != SUCCESS) return 1;
  for (int i = 0; i < thread_count; ++i) {
    if (pthread_create(&threads[i], NULL, serve, NULL) != 0) abort();
  }
  for (int i = 0; i < thread_count; ++i) pthread_join(threads[i], NULL);
  const int status = zend_eval_string(arguments[5], NULL, "the last script") == SUCCESS ? 0 : 1;
  php_embed_shutdown();
  return status;
}
