/* failures.c - when so much fails that going on would be wrong */
#include "ml/failures.h"

bool calm__failures_add(struct calm__failures *failures, bool failed)
{
    bool *oldest = &failures->window[failures->total % CALM__FAILURES_WINDOW];
    failures->failed += failed - *oldest;
    *oldest = failed;
    failures->total++;
    failures->answered += !failed;
    return failed && failures->failed >= failures->most;
}
