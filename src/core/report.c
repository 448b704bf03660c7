/* report.c - which task waits for what, when nothing can happen any more */
#include "core/loop.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

struct text {
    char buffer[CALM_MESSAGE_MAX];
    size_t len;
    size_t tasks, shown;
};

static void text_add(struct text *text, const char *part)
{
    size_t room = sizeof text->buffer - 1 - text->len;
    size_t len = strnlen(part, room);
    memcpy(text->buffer + text->len, part, len);
    text->len += len;
    text->buffer[text->len] = '\0';
}

static void task_add(struct calm_task *task, void *ctx)
{
    struct text *text = ctx;
    if (task->state != CALM__WAITING)
        return;
    text->tasks++;
    if (text->len > sizeof text->buffer - 200)
        return;
    text->shown++;
    text_add(text, "\n  task '");
    text_add(text, calm_task_name(task));
    text_add(text, "' waits for ");
    text_add(text, task->wait->what);
    struct calm_task *whom =
        task->wait->whom ? task->wait->whom(task, task->wait_object) : NULL;
    if (whom && whom->state >= CALM__ENDED) {
        text_add(text, " a task that has ended");
    } else if (whom) {
        text_add(text, " '");
        text_add(text, calm_task_name(whom));
        text_add(text, "'");
    }
}

struct calm__error *calm__deadlock_report(struct calm__loop *loop)
{
    struct text text = {.buffer = ""};
    text_add(&text, "deadlock: every task waits and nothing else can happen");
    calm__tasks_visit(loop, task_add, &text);
    if (text.tasks > text.shown) {
        char more[48];
        snprintf(
            more, sizeof more, "\n  and %zu more", text.tasks - text.shown);
        text_add(&text, more);
    }
    return calm__error_new(-EDEADLK, text.buffer);
}

/* Who waits for the end of another goes on when that has ended: its wait is
 * left alone, and the other is told why. */
static void wait_break(struct calm_task *task, void *ctx)
{
    if (task->state != CALM__WAITING || !task->wait->cancel ||
        task->wait->for_end)
        return;
    task->wait->cancel(task, task->wait_object);
    if (task->state == CALM__READY)
        task->result = -EDEADLK;
}

void calm__waits_break(struct calm__loop *loop)
{
    calm__tasks_visit(loop, wait_break, NULL);
}
