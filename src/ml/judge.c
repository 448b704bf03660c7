/* judge.c - what came of an attempt, and what follows */
#include "ml/judge.h"

#include <errno.h>
#include <stdio.h>

/* ---- with an answer ---- */

static enum calm__verdict judge_status(int status)
{
    switch (status) {
    case 200 ... 299:
        return CALM__GOOD;
    case 400:
    case 413:
    case 422:
        return CALM__REFUSE;
    case 401:
    case 403:
        return CALM__STOP;
    case 408:
    case 425:
    case 429:
    case 500:
    case 502:
    case 503:
    case 504:
        return CALM__AGAIN;
    default: /* also a redirect: a POST is not to be sent elsewhere */
        return CALM__FAIL;
    }
}

static bool is_unserved(int status)
{
    return status == 429 || (status >= 502 && status <= 504);
}

void calm__judge_answer(struct calm__sending *sending,
    const struct calm__hints *hints, struct calm__judgement *judgement)
{
    const calm_http_response *response = &sending->response;
    struct calm__api_error error;
    calm__api_error_read(response->body.data, response->body.len, &error);
    enum calm__verdict verdict = judge_status(response->status);
    judgement->verdict = verdict;
    judgement->last = verdict == CALM__AGAIN ? CALM__FAIL : verdict;
    judgement->unserved = is_unserved(response->status);
    if (verdict != CALM__GOOD && verdict != CALM__STOP &&
        hints->should_retry >= 0)
        judgement->verdict =
            hints->should_retry ? CALM__AGAIN : judgement->last;
    if (error.quota)
        judgement->verdict = CALM__STOP;
    if (response->status == 429 || response->status == 503)
        judgement->pressure = CALM__PRESSURE_HIGH;
    sending->code = error.quota ? "insufficient_quota" : "http_error";
    snprintf(sending->cause, sizeof sending->cause, "status %d%s%s%s%s%s",
        response->status, *error.message ? ": " : "", error.message,
        *error.code ? " (" : "", error.code, *error.code ? ")" : "");
}

/* ---- without one ---- */

/* Without an answer. What is wrong on this machine ends the run. */
int calm__judge_error(struct calm__sending *sending, int rc, bool reached,
    struct calm__judgement *judgement)
{
    judgement->unsent = !sending->response.sent;
    switch (rc) {
    case -ETIMEDOUT:
        judgement->pressure = CALM__PRESSURE_HIGH;
        judgement->verdict = CALM__AGAIN;
        judgement->unserved = true;
        sending->code = "timeout";
        break;
    case -ENOENT: /* the name is not known, or not any more */
        if (!reached) {
            sending->code = "connection_error";
            break;
        }
        __attribute__((fallthrough));
    case -EAGAIN:
    case -ECONNREFUSED:
    case -ECONNRESET:
    case -ECONNABORTED:
    case -EPIPE:
    case -ENODATA:
    case -EHOSTUNREACH:
    case -ENETUNREACH:
    case -ENETDOWN:
        judgement->verdict = CALM__AGAIN;
        judgement->unserved = true;
        sending->code = "connection_error";
        break;
    case CALM_EHTTP:
        judgement->verdict = CALM__AGAIN_ONCE;
        judgement->last = CALM__REFUSE;
        sending->code = "malformed_answer";
        break;
    case CALM_ELIMIT: /* fewer rows may have a smaller answer */
        judgement->verdict = judgement->last = CALM__REFUSE;
        sending->code = "answer_too_large";
        break;
    case CALM_ETLS:
        judgement->verdict = CALM__STOP;
        sending->code = "tls_error";
        break;
    default:
        return rc;
    }
    snprintf(sending->cause, sizeof sending->cause, "%s", calm_message(rc));
    return 0;
}
