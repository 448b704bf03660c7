/* sender.c - a request to an API, sent until it has its fate
 *
 * An attempt holds a place in the limit and gives it back before it waits for
 * the next, so that what fails does not keep others from being sent. A wait
 * that the server asks for holds everybody back, plus a little chance for
 * each, or all would come back at once.
 */
#include "ml/judge.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/random.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { AWAY = 5 }; /* attempts in a row by which a server seems to be away */

/* How often one that is away is asked at the least. */
static const int64_t look_most = 2 * CALM_S;

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
    if (!sender->patience)
        sender->patience = 30 * CALM_S;
    if (!sender->failures.most)
        sender->failures.most = CALM__FAILURES_WINDOW / 2;
}

/* ---- stopping ---- */

static int stopped(const struct calm__sender *sender)
{
    return calm_fail(sender->stop, "%s", sender->stop_cause);
}

/* All who wait at the gate look again, in the order of coming. */
static void gate_pulse(struct calm__sender *sender)
{
    calm_event_set(&sender->gate);
    calm_event_clear(&sender->gate);
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
    gate_pulse(sender);
    return code;
}

static int stop_for(
    struct calm__sender *sender, const struct calm__sending *sending)
{
    return calm__sender_stop(
        sender, calm_fail(CALM_EREMOTE, "%s", sending->cause));
}

/* ---- judging ---- */

/* A good status, but is it an answer? */
static int judge_good(struct calm__sender *sender,
    struct calm__sending *sending, const struct calm__pass *pass,
    struct calm__judgement *judgement)
{
    double tokens = -1;
    int rc = sending->read
                 ? sending->read(sending->ctx, &sending->response, &tokens)
                 : 0;
    if (tokens >= 0)
        calm__limit_used(&sender->limit, pass, tokens);
    judgement->pressure = CALM__PRESSURE_NONE;
    judgement->verdict = CALM__GOOD;
    if (rc == CALM_EFORMAT || rc == CALM_ELIMIT) {
        judgement->verdict = CALM__AGAIN_ONCE;
        judgement->last = CALM__REFUSE;
        sending->code = "malformed_answer";
        snprintf(sending->cause, sizeof sending->cause,
            "status %d, malformed answer: %s", sending->response.status,
            calm_message(rc));
        return 0;
    }
    return rc;
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
 * not to be hammered. So where five attempts in a row were worked on by nobody
 * attempts go through a gate, one after the other and after waits that grow,
 * until one is served. Those who wait there hold their places in the limit, so
 * they are no more than those, and the others wait behind them. */

/* Who goes on whatever fails, or wants no retries, does not wait either. */
static bool waits_for_server(const struct calm__sender *sender)
{
    return sender->failures.most <= CALM__FAILURES_WINDOW &&
           sender->retry.attempts > 1;
}

static bool is_away(const struct calm__sender *sender)
{
    return sender->unserved >= AWAY && waits_for_server(sender);
}

static void probe_end(
    struct calm__sender *sender, struct calm__sending *sending)
{
    if (!sending->probes)
        return;
    sending->probes = false;
    sender->probing = false;
    gate_pulse(sender);
}

/* When patience is over nobody waits any more, to have it behind them: but
 * where nobody can be connected to there is a patience of its own. */
static int64_t probe_wait(const struct calm__sender *sender)
{
    int64_t wait = calm_retry_wait(&sender->retry, sender->probes);
    if (!sender->gone_since &&
        calm_now() - sender->away_since > sender->patience)
        return 0;
    return calm__random_upto(wait < look_most ? wait : look_most);
}

/* Returns 0 when the attempt may be made, or a code that ends the run. */
static int gate_pass(struct calm__sender *sender, struct calm__sending *sending)
{
    while (is_away(sender)) {
        if (sender->stop)
            return stopped(sender);
        int rc;
        if (sender->probing) {
            rc = calm_event_wait(&sender->gate);
        } else {
            sender->probing = sending->probes = true;
            sender->probes++;
            rc = wait_between(sender, probe_wait(sender));
        }
        if (rc < 0 || sending->probes)
            return rc;
    }
    return 0;
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

/* Of what could not even be sent nothing is the fault of these rows: it is no
 * attempt of theirs, if the server has ever been there. */
static void presence_note(struct calm__sender *sender,
    struct calm__sending *sending, const struct calm__judgement *judgement)
{
    bool unsent = judgement->unserved && judgement->unsent;
    int64_t now = calm_now();
    if (!unsent)
        sender->gone_since = 0;
    else if (sender->gone_since == 0)
        sender->gone_since = now;
    if (unsent && sender->reached && waits_for_server(sender))
        sending->attempts--;
    if (judgement->unserved && judgement->hint < 0) {
        if (sender->unserved++ == 0)
            sender->away_since = now;
        return;
    }
    sender->unserved = sender->probes = 0;
    gate_pulse(sender);
}

/* Takes a place in the limit and passes the gate with it. */
static int enter(struct calm__sender *sender, struct calm__sending *sending,
    struct calm__pass *ret_pass)
{
    int rc = calm__limit_enter(&sender->limit, sending->tokens, ret_pass);
    if (rc == CALM_EREMOTE)
        return calm__sender_stop(sender, rc);
    if (rc < 0)
        return rc;
    rc = gate_pass(sender, sending);
    if (rc < 0) {
        probe_end(sender, sending);
        calm__limit_leave(&sender->limit, ret_pass, CALM__PRESSURE_OTHER);
    }
    return rc;
}

/* The place in the limit is given back in any case. */
static int attempt(struct calm__sender *sender, struct calm__sending *sending,
    struct calm__judgement *judgement)
{
    struct calm__pass pass;
    int rc = enter(sender, sending, &pass);
    if (rc < 0)
        return rc;
    *judgement = (struct calm__judgement){.verdict = CALM__FAIL,
        .last = CALM__FAIL,
        .pressure = CALM__PRESSURE_OTHER,
        .hint = -1};
    calm_http_response_clear(&sending->response);
    if (sending->since == 0)
        sending->since = calm_now();
    if (sending->tries++ > 0)
        sender->retries++;
    sending->attempts++;
    rc = exchange(sender, sending);
    sender->reached |= rc == 0 || sending->response.sent;
    if (rc < 0) {
        rc = calm__judge_error(sending, rc, sender->reached, judgement);
    } else {
        struct calm__hints hints;
        read_hints(sender, &sending->response, &hints);
        calm__judge_answer(sending, &hints, judgement);
        if (judgement->verdict == CALM__AGAIN)
            judgement->hint = calm__hints_wait(&hints);
        if (judgement->verdict == CALM__GOOD)
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
    const struct calm__sending *sending, int64_t wait)
{
    return sending->attempts < sender->retry.attempts &&
           calm_now() - sending->since + wait <= sender->retry.total;
}

/* Waits for the next attempt. Returns 1 to make it, 0 to give up, or a code
 * that ends the run. */
static int try_again(struct calm__sender *sender, struct calm__sending *sending,
    const struct calm__judgement *judgement)
{
    int64_t hint = judgement->hint, now = calm_now();
    if (sender->stop) /* meanwhile: its rows are left */
        return stopped(sender);
    if (hint > sender->wait_most)
        return too_long(sender, hint);
    if (hint > 0)
        calm__limit_pause(&sender->limit, now + hint);
    int64_t wait =
        calm__random_upto(calm_retry_wait(&sender->retry, sending->attempts));
    if (hint > 0)
        wait += hint;
    if (sender->gone_since && is_away(sender) &&
        now - sender->gone_since > sender->patience)
        return stop_for(sender, sending);
    bool is_free =
        judgement->unsent && waits_for_server(sender) && sender->reached;
    if (!is_free && !may_try_again(sender, sending, wait))
        return 0;
    if (is_away(sender)) /* to the gate; or it has been away for too long */
        return is_free || now - sender->away_since <= sender->patience;
    if (!is_free && !calm__limit_retry(&sender->limit)) {
        sending->unbudgeted = true;
        return 0;
    }
    int rc = wait_between(sender, wait);
    return rc < 0 ? rc : 1;
}

/* ---- the fate ---- */

static enum calm__verdict fate_of(const struct calm__judgement *judgement)
{
    bool again = judgement->verdict == CALM__AGAIN ||
                 judgement->verdict == CALM__AGAIN_ONCE;
    return again ? judgement->last : judgement->verdict;
}

static void cause_add(struct calm__sending *sending, const char *text)
{
    size_t len = strlen(sending->cause);
    snprintf(sending->cause + len, sizeof sending->cause - len, "%s", text);
}

static int settle(struct calm__sender *sender, struct calm__sending *sending,
    const struct calm__judgement *judgement)
{
    enum calm__verdict verdict = fate_of(judgement);
    sending->fate = verdict == CALM__GOOD     ? CALM__ANSWERED
                    : verdict == CALM__REFUSE ? CALM__REFUSED
                                              : CALM__FAILED;
    /* Where nobody has ever been the rows are better left than failed. */
    if (verdict == CALM__STOP || (verdict == CALM__FAIL && !sender->reached))
        return stop_for(sender, sending);
    if (verdict == CALM__FAIL && sending->unbudgeted)
        cause_add(sending, " (the budget of retries is used up)");
    if ((sending->fate == CALM__REFUSED && sending->divisible) ||
        sending->uncounted)
        return 0;
    bool failed = sending->fate != CALM__ANSWERED;
    bool too_many = false;
    size_t weight = failed || !sending->weight ? 1 : sending->weight;
    for (size_t i = 0; i < weight; i++)
        too_many |= calm__failures_add(&sender->failures, failed);
    if (!too_many)
        return 0;
    return calm__sender_stop(sender,
        calm_fail(CALM_EREMOTE,
            "%d of the last %d requests failed, the last with %s\n"
            "hint: --max-failures tells how many may",
            sender->failures.failed, CALM__FAILURES_WINDOW, sending->cause));
}

int calm__sender_send(
    struct calm__sender *sender, struct calm__sending *sending)
{
    bool once = false;
    int more = 1;
    calm__limit_request(&sender->limit);
    while (more > 0) {
        struct calm__judgement judgement;
        int rc = attempt(sender, sending, &judgement);
        if (rc < 0)
            return sender->stop && rc == sender->stop ? stopped(sender) : rc;
        more = judgement.verdict == CALM__AGAIN ||
               (judgement.verdict == CALM__AGAIN_ONCE && !once);
        once |= judgement.verdict == CALM__AGAIN_ONCE;
        if (more)
            more = try_again(sender, sending, &judgement);
        if (more == 0)
            return settle(sender, sending, &judgement);
    }
    return more;
}

void calm__sending_clear(struct calm__sending *sending)
{
    calm_http_response_clear(&sending->response);
}
