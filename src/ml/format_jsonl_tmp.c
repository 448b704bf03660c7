#include "ml/format.h"
const struct calm__format calm__format_jsonl;
