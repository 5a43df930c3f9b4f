/* A library that takes static TLS, as many do that were not made to be dlopened. */
static __thread char taken[64] __attribute__((tls_model("initial-exec"), aligned(64)));

char* tls_hog(void) {
  return taken;
}
