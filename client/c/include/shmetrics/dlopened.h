/* How an update finds the thread's slot. Included by <shmetrics/handles.hpp> and <shmetrics/shmetrics.h>.
 *
 * What is linked into the program finds it by one load (initial-exec). What is dlopened asks the loader
 * (global-dynamic): initial-exec needs static TLS, of which there is little, other libraries may have used it up, and
 * musl gives none. Code that is compiled for a shared library is taken for dlopened, unless SHMETRICS_DLOPENED is
 * defined as 0. There the first update of a thread may allocate its thread-locals inside the loader: let a thread count
 * once before it must not. */
#ifndef SHMETRICS_DLOPENED_H
#define SHMETRICS_DLOPENED_H

#if !defined(SHMETRICS_DLOPENED)
#if defined(__PIC__) && !defined(__PIE__)
#define SHMETRICS_DLOPENED 1
#else
#define SHMETRICS_DLOPENED 0
#endif
#endif
#if SHMETRICS_DLOPENED
#define SHMETRICS_TLS __attribute__((tls_model("global-dynamic")))
#else
#define SHMETRICS_TLS __attribute__((tls_model("initial-exec")))
#endif

#endif
