/* Runs a function that is found by dlopen, as a server finds its modules.
 *
 * usage: plugin_loader LIBRARY ARGUMENT */
#include <dlfcn.h>
#include <stdio.h>

int main(int argc, char** argv) {
  void* library = argc == 3 ? dlopen(argv[1], RTLD_NOW | RTLD_LOCAL) : NULL;
  int (*run)(int, char**) = NULL;
  if (library != NULL) *(void**)&run = dlsym(library, "run");
  if (run == NULL) {
    fprintf(stderr, "%s\n", argc == 3 ? dlerror() : "usage: plugin_loader LIBRARY ARGUMENT");
    return 1;
  }
  return run(argc - 1, argv + 1);
}
