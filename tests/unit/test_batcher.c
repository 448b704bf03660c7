/* test_batcher.c - which rows are predicted together, and whose failures are
 * whose */
#include "base/fault.h"
#include "ml/batcher.h"
#include "test.h"

#include <stdatomic.h>

enum { COLUMNS = 2, ROWS_MOST = 64, POISON = 666 };

/* What the model of these tests does: sums a row, refuses a poisoned batch,
 * and, if told so, returns only once that many predictions have begun. */
struct model {
    atomic_int begun;
    int wait_for;
};

static int predict(
    void *ctx, const float *matrix, size_t rows, float *ret_values)
{
    struct model *model = ctx;
    atomic_fetch_add(&model->begun, 1);
    while (atomic_load(&model->begun) < model->wait_for)
        ;
    for (size_t i = 0; i < rows; i++) {
        ret_values[i] = matrix[i * COLUMNS] + matrix[i * COLUMNS + 1];
        if (matrix[i * COLUMNS] == POISON)
            return calm_fail(CALM_EMODEL, "row %zu is poisoned", i);
    }
    return 0;
}

struct client {
    struct calm__batcher *batcher;
    float matrix[ROWS_MOST * COLUMNS], values[ROWS_MOST];
    size_t rows;
    int code;
    char message[64];
};

static struct client client_of(
    struct calm__batcher *batcher, size_t rows, float first)
{
    struct client client = {.batcher = batcher, .rows = rows, .code = 1};
    for (size_t i = 0; i < rows; i++) {
        client.matrix[i * COLUMNS] = first + (float)i;
        client.matrix[i * COLUMNS + 1] = 1;
    }
    return client;
}

static int ask(void *arg)
{
    struct client *client = arg;
    client->code = calm__batcher_predict(
        client->batcher, client->matrix, client->rows, client->values);
    if (client->code < 0)
        snprintf(client->message, sizeof client->message, "%s",
            calm_message(client->code));
    return 0;
}

static bool is_right(const struct client *client)
{
    for (size_t i = 0; i < client->rows; i++)
        if (client->values[i] != client->matrix[i * COLUMNS] + 1)
            return false;
    return client->code == 0;
}

static struct calm__batcher batcher_of(struct model *model)
{
    struct calm__batcher batcher = {.predict = predict,
        .ctx = model,
        .columns = COLUMNS,
        .values = 1,
        .most = 4,
        .queue = 100,
        .threads = 1,
        .delay = 3600 * CALM_S};
    calm__batcher_init(&batcher);
    return batcher;
}

static int a_lone_request_waits_for_nobody(void *arg)
{
    struct model model = {0};
    struct calm__batcher batcher = batcher_of(&model);
    struct client client = client_of(&batcher, 3, 10);
    int64_t start = calm_now();
    ask(&client);
    check(is_right(&client));
    check_equal(calm_now() - start, 0);
    check_equal((long long)batcher.batches, 1);
    calm__batcher_clear(&batcher);
    return 0;
}

static int requests_of_one_turn_are_one_batch(void *arg)
{
    struct model model = {0};
    struct calm__batcher batcher = batcher_of(&model);
    struct client clients[4];
    for (int i = 0; i < 4; i++)
        clients[i] = client_of(&batcher, 1, (float)(10 * i));
    check_equal(calm_map(ask, clients, 4, sizeof *clients, NULL), 0);
    for (int i = 0; i < 4; i++)
        check(is_right(&clients[i]));
    check_equal((long long)batcher.batches, 1);
    check_equal((long long)batcher.rows, 4);
    check_equal((long long)batcher.waiting, 0);
    calm__batcher_clear(&batcher);
    return 0;
}

static int a_large_request_is_predicted_in_parts(void *arg)
{
    struct model model = {0};
    struct calm__batcher batcher = batcher_of(&model);
    struct client clients[3] = {client_of(&batcher, 3, 0),
        client_of(&batcher, 10, 100), client_of(&batcher, 1, 200)};
    check_equal(calm_map(ask, clients, 3, sizeof *clients, NULL), 0);
    for (int i = 0; i < 3; i++)
        check(is_right(&clients[i]));
    check_equal((long long)batcher.batches, 4); /* of 4, 4, 4 and 2 rows */
    check_equal((long long)batcher.of_size[1], 1);
    check_equal((long long)batcher.of_size[2], 3);
    calm__batcher_clear(&batcher);
    return 0;
}

static int a_row_that_fails_fails_its_request_alone(void *arg)
{
    struct model model = {0};
    struct calm__batcher batcher = batcher_of(&model);
    struct client clients[3] = {client_of(&batcher, 1, 0),
        client_of(&batcher, 2, POISON - 1), client_of(&batcher, 1, 200)};
    check_equal(calm_map(ask, clients, 3, sizeof *clients, NULL), 0);
    check(is_right(&clients[0]));
    check(is_right(&clients[2]));
    check_equal(clients[1].code, CALM_EMODEL);
    check_text(clients[1].message, "row 1 is poisoned");
    calm__batcher_clear(&batcher);
    return 0;
}

static int a_part_that_fails_ends_the_whole_request(void *arg)
{
    struct model model = {0};
    struct calm__batcher batcher = batcher_of(&model);
    struct client clients[2] = {
        client_of(&batcher, 60, POISON - 2), client_of(&batcher, 1, 0)};
    check_equal(calm_map(ask, clients, 2, sizeof *clients, NULL), 0);
    check_equal(clients[0].code, CALM_EMODEL);
    check(is_right(&clients[1]));
    check_equal((long long)batcher.batches, 2); /* the other 56 never ran */
    check_equal((long long)batcher.waiting, 0);
    calm__batcher_clear(&batcher);
    return 0;
}

static int rows_beyond_the_queue_are_refused(void *arg)
{
    struct model model = {0};
    struct calm__batcher batcher = batcher_of(&model);
    struct client clients[3] = {client_of(&batcher, 7, 0),
        client_of(&batcher, 3, 100), client_of(&batcher, 1, 200)};
    batcher.queue = 10;
    check_equal(calm_map(ask, clients, 3, sizeof *clients, NULL), 0);
    check(is_right(&clients[0]));
    check(is_right(&clients[1]));
    check_equal(clients[2].code, -EBUSY);
    check_equal((long long)batcher.rejected, 1);
    struct client large = client_of(&batcher, 60, 0);
    ask(&large); /* more than the queue holds, but nobody waits */
    check(is_right(&large));
    calm__batcher_clear(&batcher);
    return 0;
}

/* Runs clients of which the first is being predicted, on another thread, when
 * the others come. */
static int late_clients(void *arg)
{
    struct client *clients = arg;
    struct model *model = clients[0].batcher->ctx;
    calm_group group;
    calm_group_begin(&group);
    calm_spawn(&group, ask, &clients[0]);
    while (atomic_load(&model->begun) == 0)
        calm_checkpoint();
    for (int i = 1; i < 4; i++)
        calm_spawn(&group, ask, &clients[i]);
    return calm_group_end(&group, 0);
}

/* The first prediction ends only when a second has begun beside it, so this
 * would hang if the second waited for the first. */
static int check_second_thread(
    struct calm__batcher *batcher, struct model *model)
{
    struct client clients[4];
    for (int i = 0; i < 4; i++)
        clients[i] = client_of(batcher, 1, (float)(10 * i));
    check_equal(late_clients(clients), 0);
    for (int i = 0; i < 4; i++)
        check(is_right(&clients[i]));
    check_equal((long long)batcher->batches, 2);
    check_equal(atomic_load(&model->begun), 2);
    calm__batcher_clear(batcher);
    return 0;
}

static int a_full_batch_takes_another_thread_at_once(void *arg)
{
    struct model model = {.wait_for = 2};
    struct calm__batcher batcher = batcher_of(&model);
    if (calm_cpu_count() < 2)
        return 0;
    batcher.most = 3;
    batcher.threads = 2;
    return check_second_thread(&batcher, &model);
}

static int after_the_delay_another_thread_is_taken(void *arg)
{
    struct model model = {.wait_for = 2};
    struct calm__batcher batcher = batcher_of(&model);
    if (calm_cpu_count() < 2)
        return 0;
    batcher.threads = 2;
    batcher.delay = 1 * CALM_MS;
    return check_second_thread(&batcher, &model);
}

static int a_request_that_is_cancelled_leaves_the_others(void *arg)
{
    struct model model = {.wait_for = 2};
    struct calm__batcher batcher = batcher_of(&model);
    struct client clients[3];
    calm_group group;
    for (int i = 0; i < 3; i++)
        clients[i] = client_of(&batcher, 2, (float)(10 * i));
    calm_group_begin(&group);
    calm_spawn(&group, ask, &clients[0]);
    while (atomic_load(&model.begun) == 0)
        calm_checkpoint();
    calm_task *second = calm_spawn(&group, ask, &clients[1]);
    calm_spawn(&group, ask, &clients[2]);
    calm_checkpoint();
    calm_checkpoint();
    calm_cancel(second);
    calm_checkpoint();
    check_equal(clients[1].code, -ECANCELED);
    check_equal((long long)batcher.waiting, 2);
    atomic_fetch_add(&model.begun, 1);
    check_equal(calm_group_end(&group, 0), 0);
    check(is_right(&clients[0]));
    check(is_right(&clients[2]));
    calm__batcher_clear(&batcher);
    return 0;
}

static int without_memory_the_request_fails(void *arg)
{
    struct model model = {0};
    for (size_t nth = 1; nth <= 3; nth++) {
        struct calm__batcher batcher = batcher_of(&model);
        struct client client = client_of(&batcher, 2, 0);
        calm__fault_arm("memory", nth);
        ask(&client);
        calm__fault_disarm();
        check_equal(client.code, -ENOMEM);
        check_equal((long long)batcher.waiting, 0);
        ask(&client);
        check(is_right(&client));
        calm__batcher_clear(&batcher);
    }
    return 0;
}

int main(void)
{
    static const struct test tests[] = {
        virtual_test(a_lone_request_waits_for_nobody),
        virtual_test(requests_of_one_turn_are_one_batch),
        virtual_test(a_large_request_is_predicted_in_parts),
        virtual_test(a_row_that_fails_fails_its_request_alone),
        virtual_test(a_part_that_fails_ends_the_whole_request),
        virtual_test(rows_beyond_the_queue_are_refused),
        real_test(a_full_batch_takes_another_thread_at_once),
        real_test(after_the_delay_another_thread_is_taken),
        real_test(a_request_that_is_cancelled_leaves_the_others),
        virtual_test(without_memory_the_request_fails),
    };
    return run_list("batcher", tests, sizeof tests / sizeof *tests);
}
