/* test_remote.c - a dataset through an API: rows in are rows out
 *
 * calm_http_send() is replaced by a server in this process, which doubles the
 * member x of each sample and misbehaves as told. Time is virtual; files are
 * real.
 */
#include "test.h"

#include "fail_alloc.h"

#include "base/random.h"

#include <sys/stat.h>
#include <unistd.h>

enum { ROWS = 300 };

/* ---- the server ---- */

static struct {
    bool poisoned[ROWS];
    int fails;         /* of 100 attempts, with FAIL_STATUS */
    int fail_status;   /* below zero: the code of the call */
    int short_answers; /* the first so many lack a result */
    int serves;        /* at once; beyond it 429; 0: any number */
    int64_t slow;      /* what one in a hundred takes */
    int64_t takes;
    int stop_after; /* requests, then 401 */

    int requests, busy, most_busy;
    bool answered[ROWS];
    int twice; /* rows that were answered again */
} server;

static int answer_rows(const calm_json_value *samples, calm_bytes *out)
{
    calm_bytes_append_text(out, "{\"predictions\":[");
    const char *comma = "";
    size_t left = calm_json_count(samples);
    if (server.short_answers > 0 && server.short_answers-- > 0)
        left--;
    for (const calm_json_value *sample = calm_json_first(samples);
         sample && left > 0; sample = calm_json_next(sample), left--) {
        int x = (int)calm_json_number(calm_json_get(sample, "x"));
        server.twice += server.answered[x];
        server.answered[x] = true;
        calm_bytes_printf(out, "%s%d", comma, 2 * x);
        comma = ",";
    }
    return calm_bytes_append_text(out, "]}");
}

static bool has_poison(const calm_json_value *samples)
{
    for (const calm_json_value *sample = calm_json_first(samples); sample;
         sample = calm_json_next(sample))
        if (server.poisoned[(int)calm_json_number(calm_json_get(sample, "x"))])
            return true;
    return false;
}

static int serve_samples(
    const calm_http_request *request, calm_http_response *response)
{
    calm_json_doc *doc;
    int rc = calm_json_parse(request->body, request->body_len, NULL, &doc);
    if (rc < 0)
        return rc;
    const calm_json_value *samples =
        calm_json_get(calm_json_root(doc), "samples");
    response->status = has_poison(samples) ? 422 : 200;
    if (response->status == 422)
        rc = calm_bytes_append_text(
            &response->body, "{\"error\": \"a bad sample\"}");
    else
        rc = answer_rows(samples, &response->body);
    calm_json_free(doc);
    return rc;
}

int __wrap_calm_http_send(calm_http *http, const calm_http_request *request,
    calm_http_response *response);

int __wrap_calm_http_send(calm_http *http, const calm_http_request *request,
    calm_http_response *response)
{
    int number = server.requests++;
    bool slow = server.slow > 0 && number % 100 == 7;
    bool busy = ++server.busy > server.serves && server.serves > 0;
    if (server.busy > server.most_busy)
        server.most_busy = server.busy;
    int rc = calm_sleep(slow ? server.slow : server.takes);
    server.busy--;
    if (rc < 0)
        return rc;
    bool fails = calm__random_upto(99) < server.fails;
    response->status = busy ? 429 : server.fail_status;
    if (server.stop_after > 0 && number >= server.stop_after)
        response->status = 401;
    else if (fails && server.fail_status < 0)
        return calm_fail(server.fail_status, "the connection broke");
    else if (!fails && !busy)
        rc = serve_samples(request, response);
    return rc;
}

/* ---- the run ---- */

/* In memory where that is offered: there is much to sync. */
static char folder[64];
static char input[80], output[80], errors[100];

static void input_write(int rows)
{
    calm_bytes text = {0};
    calm_bytes_append_text(&text, "id,x\n");
    for (int i = 0; i < rows; i++)
        calm_bytes_printf(&text, "%d,%d\n", 1000 + i, i);
    FILE *file = fopen(input, "w");
    fwrite(text.data, 1, text.len, file);
    fclose(file);
    calm_bytes_clear(&text);
}

static void outputs_remove(void)
{
    static const char *const ends[] = {"", ".calm-part", ".calm-journal",
        ".errors.jsonl", ".errors.jsonl.calm-part"};
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
        char name[128];
        snprintf(name, sizeof name, "%s%s", output, ends[i]);
        unlink(name);
    }
}

static void begin(void)
{
    outputs_remove();
    memset(&server, 0, sizeof server);
    server.takes = 10 * CALM_MS;
    calm__random_seed(11);
}

static calm_predict_opts usual_opts(void)
{
    return (calm_predict_opts){.input = input,
        .output = output,
        .batch_size = 8,
        .remote = {.url = "http://server.invalid/predict"}};
}

/* How many lines of the output are right; all must be, whatever their order. */
static int right_lines(bool ordered)
{
    FILE *file = fopen(output, "r");
    if (!file)
        return -1;
    char line[128];
    int right = 0, last = -1;
    bool seen[ROWS] = {0};
    check(fgets(line, sizeof line, file) != NULL);
    while (fgets(line, sizeof line, file)) {
        int row, id, twice;
        int fields = ordered ? sscanf(line, "%d,%d", &id, &twice)
                             : sscanf(line, "%d,%d,%d", &row, &id, &twice);
        int x = id - 1000;
        check_equal(fields, ordered ? 2 : 3);
        check_equal(twice, 2 * x);
        check(!seen[x]);
        check(!ordered || x > last);
        seen[x] = true;
        last = x;
        right++;
    }
    fclose(file);
    return right;
}

static int error_lines(void)
{
    FILE *file = fopen(errors, "r");
    int lines = 0;
    for (int byte; file && (byte = fgetc(file)) != EOF;)
        lines += byte == '\n';
    if (file)
        fclose(file);
    return lines;
}

/* ---- tests ---- */

static int every_row_comes_out_in_its_place(void *arg)
{
    for (int unordered = 0; unordered < 2; unordered++) {
        begin();
        server.slow = 200 * CALM_MS;
        calm_predict_opts opts = usual_opts();
        opts.unordered = unordered;
        opts.batch_size = 1;
        calm_predict_state state;
        check_equal(calm_predict(&opts, &state), 0);
        check_equal(state.ok, ROWS);
        check_equal(right_lines(!unordered), ROWS);
        check_equal(server.twice, 0);
    }
    return 0;
}

static int passing_faults_lose_no_row(void *arg)
{
    static const int faults[] = {503, 500, -ECONNRESET, -ENODATA, -ETIMEDOUT};
    for (size_t i = 0; i < sizeof faults / sizeof *faults; i++) {
        begin();
        server.fails = 15;
        server.fail_status = faults[i];
        calm_predict_opts opts = usual_opts();
        opts.batch_size = 2;
        calm_predict_state state;
        check_equal(calm_predict(&opts, &state), 0);
        check_equal(state.ok, ROWS);
        check(state.retries > 0);
        check_equal(right_lines(true), ROWS);
    }
    return 0;
}

static int only_the_poisoned_rows_fail(void *arg)
{
    static const int poisons[] = {0, 7, 8, 100, 101, 299};
    begin();
    size_t count = sizeof poisons / sizeof *poisons;
    for (size_t i = 0; i < count; i++)
        server.poisoned[poisons[i]] = true;
    calm_predict_opts opts = usual_opts();
    opts.batch_size = 64;
    calm_predict_state state;
    check_equal(calm_predict(&opts, &state), 0);
    check_equal(state.failed, count);
    check_equal(state.ok, ROWS - count);
    check_equal(right_lines(true), ROWS - (int)count);
    check_equal(error_lines(), (int)count);
    check_equal(server.twice, 0);
    check_equal(state.retries, 0);
    return 0;
}

static int all_poisoned_stops_the_run(void *arg)
{
    begin();
    memset(server.poisoned, true, sizeof server.poisoned);
    calm_predict_opts opts = usual_opts();
    calm_predict_state state;
    check_equal(calm_predict(&opts, &state), CALM_EREMOTE);
    check(access(output, F_OK) < 0);
    outputs_remove();
    return 0;
}

static int short_answer_is_asked_for_again(void *arg)
{
    begin();
    server.short_answers = 1;
    calm_predict_opts opts = usual_opts();
    calm_predict_state state;
    check_equal(calm_predict(&opts, &state), 0);
    check_equal(state.ok, ROWS);
    check_equal(state.retries, 1);
    check_equal(right_lines(true), ROWS);
    return 0;
}

static int server_that_defers_above_five_gets_five(void *arg)
{
    begin();
    server.serves = 5;
    calm_predict_opts opts = usual_opts();
    opts.batch_size = 1;
    calm_predict_state state;
    check_equal(calm_predict(&opts, &state), 0);
    check_equal(right_lines(true), ROWS);
    check(state.at_once >= 3 && state.at_once <= 6.5);
    check(server.most_busy <= 7);
    return 0;
}

static int refusal_stops_the_run_and_keeps_what_is_done(void *arg)
{
    begin();
    server.stop_after = 10;
    calm_predict_opts opts = usual_opts();
    calm_predict_state state;
    check_equal(calm_predict(&opts, &state), CALM_EREMOTE);
    check_contains(calm_message(CALM_EREMOTE), "401");
    check(state.ok >= 8 * 5);
    check_equal(state.failed, 0);
    check(access(output, F_OK) < 0);
    outputs_remove();
    return 0;
}

struct stopped_run {
    calm_predict_opts opts;
    calm_predict_state state;
    int rc;
};

static int predict_until_stopped(void *arg)
{
    struct stopped_run *run = arg;
    run->rc = calm_predict(&run->opts, &run->state);
    return 0;
}

static int cancel_finishes_what_is_under_way_and_no_more(void *arg)
{
    for (int unordered = 0; unordered < 2; unordered++) {
        begin();
        server.takes = CALM_S;
        struct stopped_run run = {.opts = usual_opts()};
        run.opts.unordered = unordered;
        run.opts.drain = 10 * CALM_S;
        run.opts.remote.at_once = 4;
        calm_group group;
        calm_group_begin(&group);
        calm_task *task = calm_spawn(&group, predict_until_stopped, &run);
        calm_sleep(1500 * CALM_MS);
        calm_cancel(task);
        int64_t start = calm_now();
        check_equal(calm_group_end(&group, 0), 0);
        check_equal(run.rc, -ECANCELED);
        check(ms_since(start) >= 499 && ms_since(start) <= 510);
        check_equal(server.requests, 8);
        /* In order: one that was sent before its turn is behind a gap. */
        check(run.state.ok <= 8 * 8 && run.state.ok >= 5 * 8);
        check(!unordered || run.state.ok == 8 * 8);
        outputs_remove();
    }
    return 0;
}

static int no_memory_at_any_moment_loses_no_row(void *arg)
{
    int failed = 0;
    for (int n = 1;; n++) {
        begin();
        calm_predict_opts opts = usual_opts();
        opts.batch_size = 100;
        opts.threads = 1;
        calm_predict_state state;
        if (!fail_alloc_begin(n))
            break;
        int rc = calm_predict(&opts, &state);
        bool hit = fail_alloc_end();
        if (rc < 0) {
            failed++;
            check(hit);
            check_equal(rc, -ENOMEM);
            check(access(output, F_OK) < 0);
        } else {
            check_equal(state.ok + state.failed, ROWS);
            check_equal(right_lines(true), (int)state.ok);
        }
        outputs_remove();
    }
    check(failed > 10);
    return 0;
}

int main(void)
{
    static const struct test tests[] = {
        virtual_test(every_row_comes_out_in_its_place),
        virtual_test(passing_faults_lose_no_row),
        virtual_test(only_the_poisoned_rows_fail),
        virtual_test(all_poisoned_stops_the_run),
        virtual_test(short_answer_is_asked_for_again),
        virtual_test(server_that_defers_above_five_gets_five),
        virtual_test(refusal_stops_the_run_and_keeps_what_is_done),
        virtual_test(cancel_finishes_what_is_under_way_and_no_more),
        virtual_test(no_memory_at_any_moment_loses_no_row),
    };
    snprintf(folder, sizeof folder, "%s/calm-remote-XXXXXX",
        access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    if (!mkdtemp(folder))
        return 1;
    snprintf(input, sizeof input, "%s/rows.csv", folder);
    snprintf(output, sizeof output, "%s/out.csv", folder);
    snprintf(errors, sizeof errors, "%s.errors.jsonl", output);
    input_write(ROWS);
    int failed = run_list("remote", tests, sizeof tests / sizeof *tests);
    outputs_remove();
    unlink(input);
    rmdir(folder);
    return failed;
}
