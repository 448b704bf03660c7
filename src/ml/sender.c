/* sender.c - a request to an API, sent until it has its fate
 *
 * An attempt holds a place in the limit and gives it back before it waits for
 * the next, so that what fails does not keep others from being sent. A wait
 * that the server asks for holds everybody back, plus a little chance for
 * each, or all would come back at once.
 */
#include "ml/sender.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/random.h"
#include "ml/hints.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { AWAY = 5 }; /* attempts in a row by which a server seems to be away */

/* For how long a server that is away is waited for: one that nobody can
 * connect to, and one that answers, but with nothing; and how often a look is
 * taken at the least. */
static const int64_t patience_gone = 30 * CALM_S;
static const int64_t patience_away = 10 * CALM_S;
static const int64_t look_most = 2 * CALM_S;

enum verdict {
    GOOD,
    REFUSE,     /* wrong for these rows */
    FAIL,       /* for good */
    AGAIN,      /* if attempts, time and budget allow it */
    AGAIN_ONCE, /* if it has not been tried so before, else REFUSE */
    STOP,       /* the whole run */
};

/* What came of one attempt. */
struct judgement {
    enum verdict verdict;
    enum verdict last; /* of AGAIN: what it is without a further attempt */
    enum calm__pressure pressure;
    int64_t hint;  /* the wait that the server has asked for, or -1 */
    bool unserved; /* nobody has worked on it: no server, or too busy a one */
    bool unsent;   /* not a byte of it has left */
};

void calm__sender_init(struct calm__sender *sender, size_t at_once)
{
    calm__limit_init(&sender->limit, at_once);
    if (!sender->retry.attempts)
        sender->retry.attempts = 5;
    if (!sender->retry.total)
        sender->retry.total = 600 * CALM_S;
    if (!sender->request_timeout)
        sender->request_timeout = 600 * CALM_S;
    if (!sender->wait_most)
        sender->wait_most = 300 * CALM_S;
    sender->limit.wait_most = sender->wait_most;
    if (!sender->failures.most)
        sender->failures.most = CALM__FAILURES_WINDOW / 2;
}

/* ---- stopping ---- */

static int stopped(const struct calm__sender *sender)
{
    return calm_fail(sender->stop, "%s", sender->stop_cause);
}

int calm__sender_stop(struct calm__sender *sender, int code)
{
    if (sender->stop)
        return stopped(sender);
    sender->stop = code;
    snprintf(sender->stop_cause, sizeof sender->stop_cause, "%s",
        calm_message(code));
    calm__limit_close(&sender->limit, code);
    calm_event_set(&sender->stopped);
    return code;
}

static int stop_for(
    struct calm__sender *sender, const struct calm__sending *sending)
{
    return calm__sender_stop(
        sender, calm_fail(CALM_EREMOTE, "%s", sending->cause));
}

/* ---- judging ---- */

static enum verdict judge_status(int status)
{
    switch (status) {
    case 200 ... 299:
        return GOOD;
    case 400:
    case 413:
    case 422:
        return REFUSE;
    case 401:
    case 403:
        return STOP;
    case 408:
    case 425:
    case 429:
    case 500:
    case 502:
    case 503:
    case 504:
        return AGAIN;
    default: /* also a redirect: a POST is not to be sent elsewhere */
        return FAIL;
    }
}

static bool is_unserved(int status)
{
    return status == 429 || (status >= 502 && status <= 504);
}

static void judge_answer(struct calm__sending *sending,
    const struct calm__hints *hints, struct judgement *judgement)
{
    const calm_http_response *response = &sending->response;
    struct calm__api_error error;
    calm__api_error_read(response->body.data, response->body.len, &error);
    enum verdict verdict = judge_status(response->status);
    judgement->verdict = verdict;
    judgement->last = verdict == AGAIN ? FAIL : verdict;
    judgement->unserved = is_unserved(response->status);
    if (verdict != GOOD && verdict != STOP && hints->should_retry >= 0)
        judgement->verdict = hints->should_retry ? AGAIN : judgement->last;
    if (error.quota)
        judgement->verdict = STOP;
    if (response->status == 429 || response->status == 503)
        judgement->pressure = CALM__PRESSURE_HIGH;
    sending->code = error.quota ? "insufficient_quota" : "http_error";
    snprintf(sending->cause, sizeof sending->cause, "status %d%s%s%s%s%s",
        response->status, *error.message ? ": " : "", error.message,
        *error.code ? " (" : "", error.code, *error.code ? ")" : "");
}

/* A good status, but is it an answer? */
static int judge_good(struct calm__sender *sender,
    struct calm__sending *sending, const struct calm__pass *pass,
    struct judgement *judgement)
{
    double tokens = -1;
    int rc = sending->read
                 ? sending->read(sending->ctx, &sending->response, &tokens)
                 : 0;
    if (tokens >= 0)
        calm__limit_used(&sender->limit, pass, tokens);
    judgement->pressure = CALM__PRESSURE_NONE;
    judgement->verdict = GOOD;
    if (rc == CALM_EFORMAT || rc == CALM_ELIMIT) {
        judgement->verdict = AGAIN_ONCE;
        judgement->last = REFUSE;
        sending->code = "malformed_answer";
        snprintf(sending->cause, sizeof sending->cause,
            "status %d, malformed answer: %s", sending->response.status,
            calm_message(rc));
        return 0;
    }
    return rc;
}

/* Without an answer. What is wrong on this machine ends the run. */
static int judge_error(
    struct calm__sending *sending, int rc, struct judgement *judgement)
{
    switch (rc) {
    case -ETIMEDOUT:
        judgement->pressure = CALM__PRESSURE_HIGH;
        judgement->verdict = AGAIN;
        judgement->unserved = true;
        sending->code = "timeout";
        break;
    case -EAGAIN:
    case -ECONNREFUSED:
    case -EHOSTUNREACH:
    case -ENETUNREACH:
        judgement->unsent = true;
        __attribute__((fallthrough));
    case -ECONNRESET:
    case -ECONNABORTED:
    case -EPIPE:
    case -ENODATA:
        judgement->verdict = AGAIN;
        judgement->unserved = true;
        sending->code = "connection_error";
        break;
    case -ENOENT:
        sending->code = "connection_error";
        break;
    case CALM_EHTTP:
        judgement->verdict = AGAIN_ONCE;
        judgement->last = REFUSE;
        sending->code = "malformed_answer";
        break;
    case CALM_ELIMIT: /* fewer rows may have a smaller answer */
        judgement->verdict = judgement->last = REFUSE;
        sending->code = "answer_too_large";
        break;
    case CALM_ETLS:
        judgement->verdict = STOP;
        sending->code = "tls_error";
        break;
    default:
        return rc;
    }
    snprintf(sending->cause, sizeof sending->cause, "%s", calm_message(rc));
    return 0;
}

/* ---- what the headers say ---- */

static void learn(struct calm__sender *sender, struct calm__allowance *which,
    const struct calm__budget *budget)
{
    if (budget->remaining < 0)
        return;
    calm__limit_learn(&sender->limit, which, (double)budget->remaining,
        budget->reset >= 0 ? calm_now() + budget->reset : 0);
}

static void read_hints(struct calm__sender *sender,
    const calm_http_response *response, struct calm__hints *ret_hints)
{
    *ret_hints = CALM__HINTS_NONE;
    int64_t date = calm__clock_date();
    calm_http_header header;
    for (size_t i = 0; calm_http_header_at(response, i, &header); i++)
        calm__hints_header(
            ret_hints, header.name, header.value, strlen(header.value), date);
    learn(sender, &sender->limit.request_budget, &ret_hints->requests);
    learn(sender, &sender->limit.token_budget, &ret_hints->tokens);
}

/* ---- waiting ---- */

static void waiting_add(struct calm__sender *sender)
{
    sender->waiting++;
    if (sender->on_wait)
        sender->on_wait(sender);
}

static int wait_between(struct calm__sender *sender, int64_t wait)
{
    waiting_add(sender);
    calm_timeout timeout;
    calm_timeout_begin(&timeout, wait);
    int rc = calm_event_wait(&sender->stopped);
    rc = calm_timeout_end(&timeout, rc);
    sender->waiting--;
    if (rc == 0)
        return stopped(sender);
    return rc == -ETIMEDOUT ? 0 : rc;
}

/* ---- the gate ----
 *
 * A server that is started anew should fail nobody, and one that stays away is
 * not to be hammered. So where five attempts in a row were worked on by nobody,
 * or nobody could be connected to, all attempts go through a gate, one after
 * the other and after waits that grow; whoever has made one goes to the end of
 * the queue. One that is served opens the gate for all. */

/* Who goes on whatever fails, or wants no retries, does not wait either. */
static bool waits_for_server(const struct calm__sender *sender)
{
    return sender->failures.most <= CALM__FAILURES_WINDOW &&
           sender->retry.attempts > 1;
}

static bool is_away(const struct calm__sender *sender)
{
    return waits_for_server(sender) &&
           (sender->gone || sender->unserved >= AWAY);
}

static void probe_end(
    struct calm__sender *sender, struct calm__sending *sending)
{
    if (sending->probes)
        calm_mutex_unlock(&sender->probing);
    sending->probes = false;
}

/* Until when it waits: rows that were not even sent, as long as it takes until
 * the run is stopped. */
static int64_t gate_until(
    const struct calm__sender *sender, const struct calm__sending *sending)
{
    int64_t resume = sender->limit.resume;
    if (sending->attempts == 0 || sender->gone)
        return CALM_FOREVER;
    return (sending->gate_since > resume ? sending->gate_since : resume) +
           patience_away;
}

/* Waits for its turn. Returns 0, -ETIMEDOUT without patience, or a code that
 * ends the run. */
static int gate_queue(
    struct calm__sender *sender, struct calm__sending *sending)
{
    int64_t until;
    int rc;
    do {
        until = gate_until(sender, sending);
        calm_timeout timeout;
        calm_timeout_begin_at(&timeout, until);
        rc = calm_mutex_lock(&sender->probing);
        rc = calm_timeout_end(&timeout, rc);
    } while (rc == -ETIMEDOUT && gate_until(sender, sending) > until);
    sending->probes = rc == 0;
    return rc == 0 && sender->stop ? stopped(sender) : rc;
}

/* Returns 0 when the attempt may be made, or as gate_queue(). */
static int gate_pass(struct calm__sender *sender, struct calm__sending *sending)
{
    if (!is_away(sender))
        return 0;
    if (sending->gate_since < sender->away_since)
        sending->gate_since = calm_now();
    waiting_add(sender);
    int rc = gate_queue(sender, sending);
    sender->waiting--;
    if (rc == 0 && is_away(sender)) {
        int64_t wait = calm_retry_wait(&sender->retry, ++sender->probes);
        rc = wait_between(
            sender, calm__random_upto(wait < look_most ? wait : look_most));
    }
    if (rc < 0 || !is_away(sender))
        probe_end(sender, sending);
    return rc;
}

/* ---- an attempt ---- */

static int exchange(struct calm__sender *sender, struct calm__sending *sending)
{
    calm_http_request request = {
        .method = sending->method ? sending->method : "POST",
        .url = sending->url,
        .headers = sending->headers,
        .header_count = sending->header_count,
        .body = sending->body,
        .body_len = sending->len,
    };
    calm_timeout timeout;
    calm_timeout_begin(&timeout, sender->request_timeout);
    int rc = calm_http_send(sender->http, &request, &sending->response);
    int ended = calm_timeout_end(&timeout, rc);
    if (ended == -ETIMEDOUT && rc == -ECANCELED)
        return calm_fail(-ETIMEDOUT, "no answer within %.3g s",
            (double)sender->request_timeout / CALM_S);
    return ended;
}

/* An attempt of which nothing was sent is not counted as one of these rows:
 * the server had been there. */
static void presence_note(struct calm__sender *sender,
    struct calm__sending *sending, const struct judgement *judgement)
{
    sender->gone = judgement->unsent && sender->reached;
    if (!judgement->unserved || judgement->hint >= 0) {
        sender->unserved = sender->probes = 0;
        return;
    }
    if (sender->unserved++ == 0)
        sender->away_since = calm_now();
    if (sender->gone && waits_for_server(sender))
        sending->attempts--;
}

/* Takes a place in the limit, through the gate; the server may go away while
 * it waits for one. */
static int enter(struct calm__sender *sender, struct calm__sending *sending,
    struct calm__pass *ret_pass)
{
    for (;;) {
        int rc = gate_pass(sender, sending);
        if (rc < 0)
            return rc;
        rc = calm__limit_enter(&sender->limit, sending->tokens, ret_pass);
        if (rc == CALM_EREMOTE)
            return calm__sender_stop(sender, rc);
        if (rc < 0 || sending->probes || !is_away(sender))
            return rc;
        calm__limit_leave(&sender->limit, ret_pass, CALM__PRESSURE_OTHER);
    }
}

/* The place in the limit is given back in any case. Returns 0 with a
 * judgement, or as gate_queue(): then there was none. */
static int attempt(struct calm__sender *sender, struct calm__sending *sending,
    struct judgement *judgement)
{
    struct calm__pass pass;
    int rc = enter(sender, sending, &pass);
    if (rc < 0)
        return rc;
    *judgement = (struct judgement){.verdict = FAIL,
        .last = FAIL,
        .pressure = CALM__PRESSURE_OTHER,
        .hint = -1};
    calm_http_response_clear(&sending->response);
    sending->attempts++;
    rc = exchange(sender, sending);
    sender->reached |= rc == 0 || rc == CALM_EHTTP || rc == CALM_ELIMIT;
    if (rc < 0) {
        rc = judge_error(sending, rc, judgement);
    } else {
        struct calm__hints hints;
        read_hints(sender, &sending->response, &hints);
        judge_answer(sending, &hints, judgement);
        if (judgement->verdict == AGAIN)
            judgement->hint = calm__hints_wait(&hints);
        if (judgement->verdict == GOOD)
            rc = judge_good(sender, sending, &pass, judgement);
    }
    if (rc == 0)
        presence_note(sender, sending, judgement);
    calm__limit_leave(&sender->limit, &pass, judgement->pressure);
    probe_end(sender, sending);
    return rc;
}

/* ---- trying again ---- */

static int too_long(struct calm__sender *sender, int64_t hint)
{
    return calm__sender_stop(
        sender, calm_fail(CALM_EREMOTE,
                    "the server asks to wait %" PRId64 " s, and %" PRId64
                    " s is the most",
                    hint / CALM_S, sender->wait_most / CALM_S));
}

/* Returns whether the rules allow another attempt after WAIT. */
static bool may_try_again(const struct calm__sender *sender,
    const struct calm__sending *sending, int64_t since, int64_t wait)
{
    return sending->attempts < sender->retry.attempts &&
           calm_now() - since + wait <= sender->retry.total;
}

/* Waits for the next attempt. Returns 1 to make it, 0 to give up, or a code
 * that ends the run. */
static int try_again(struct calm__sender *sender, struct calm__sending *sending,
    const struct judgement *judgement, int64_t since)
{
    int64_t hint = judgement->hint;
    if (hint > sender->wait_most)
        return too_long(sender, hint);
    if (hint > 0)
        calm__limit_pause(&sender->limit, calm_now() + hint);
    int64_t wait =
        calm__random_upto(calm_retry_wait(&sender->retry, sending->attempts));
    if (hint > 0)
        wait += hint;
    if (!may_try_again(sender, sending, since, wait))
        return 0;
    if (is_away(sender)) {
        if (sender->gone && calm_now() - sender->away_since > patience_gone)
            return stop_for(sender, sending);
        sender->retries++;
        return 1; /* to the gate */
    }
    if (!calm__limit_retry(&sender->limit)) {
        sending->unbudgeted = true;
        return 0;
    }
    sender->retries++;
    int rc = wait_between(sender, wait);
    return rc < 0 ? rc : 1;
}

/* ---- the fate ---- */

static enum verdict fate_of(const struct judgement *judgement)
{
    bool again =
        judgement->verdict == AGAIN || judgement->verdict == AGAIN_ONCE;
    return again ? judgement->last : judgement->verdict;
}

static void cause_add(struct calm__sending *sending, const char *text)
{
    size_t len = strlen(sending->cause);
    snprintf(sending->cause + len, sizeof sending->cause - len, "%s", text);
}

static int settle(struct calm__sender *sender, struct calm__sending *sending,
    const struct judgement *judgement)
{
    enum verdict verdict = fate_of(judgement);
    sending->fate = verdict == GOOD     ? CALM__ANSWERED
                    : verdict == REFUSE ? CALM__REFUSED
                                        : CALM__FAILED;
    /* Where nobody has ever been the rows are better left than failed. */
    if (verdict == STOP || (verdict == FAIL && !sender->reached))
        return stop_for(sender, sending);
    if (verdict == FAIL && sending->unbudgeted)
        cause_add(sending, " (the budget of retries is used up)");
    if ((sending->fate == CALM__REFUSED && sending->divisible) ||
        sending->uncounted)
        return 0;
    bool failed = sending->fate != CALM__ANSWERED;
    bool too_many = false;
    for (size_t i = 0; i < (sending->weight ? sending->weight : 1); i++)
        too_many |= calm__failures_add(&sender->failures, failed);
    if (!too_many)
        return 0;
    return calm__sender_stop(sender,
        calm_fail(CALM_EREMOTE,
            "%d of the last %d requests failed, the last with %s\n"
            "hint: --max-failures tells how many may",
            sender->failures.failed, CALM__FAILURES_WINDOW, sending->cause));
}

static int send_on(struct calm__sender *sender, struct calm__sending *sending)
{
    int64_t since = sending->since ? sending->since : calm_now();
    struct judgement judgement = {.verdict = FAIL, .last = FAIL};
    bool once = false;
    int more = 1;
    calm__limit_request(&sender->limit);
    while (more > 0) {
        int rc = attempt(sender, sending, &judgement);
        if (rc == -ETIMEDOUT) /* at the gate */
            return settle(sender, sending, &judgement);
        if (rc < 0)
            return sender->stop && rc == sender->stop ? stopped(sender) : rc;
        more = judgement.verdict == AGAIN ||
               (judgement.verdict == AGAIN_ONCE && !once);
        once |= judgement.verdict == AGAIN_ONCE;
        if (more)
            more = try_again(sender, sending, &judgement, since);
        if (more == 0)
            return settle(sender, sending, &judgement);
    }
    return more;
}

int calm__sender_send(
    struct calm__sender *sender, struct calm__sending *sending)
{
    int rc = send_on(sender, sending);
    probe_end(sender, sending);
    return rc;
}

void calm__sending_clear(struct calm__sending *sending)
{
    calm_http_response_clear(&sending->response);
}
