/* What the parts of the extension share. The interpreter's lock is held throughout, but for a look at the segment. */
#include <ruby.h>
#include <shmetrics/shmetrics.h>

#define MOST_LABELS 16

/* A family: which labels it wants, as symbols in the order of the label names, and what its updates are. */
typedef struct {
  const void* family; /* NULL: nothing can be declared, and updates do nothing */
  char kind;          /* c, g, h or s; r: a gauge of the most recent value, that can only be set */
  long label_count;   /* -1: more than there may be, so it is refused, and any labels are dropped */
  VALUE labels;       /* a frozen array */
} Family;

extern const rb_data_type_t kFamilyType;

/* The class's own exception, with a line of the library's. */
NORETURN(void raise_error(const char* message));
/* A text in UTF-8. */
VALUE text_of(const char* text, size_t size);

/* declaration.c */
void define_segment(VALUE module, VALUE family_class);
shmetrics_registry* registry_of(VALUE segment);
/* reading.c */
VALUE segment_text(int count, VALUE* arguments, VALUE segment);
VALUE segment_values(VALUE segment, VALUE name);
