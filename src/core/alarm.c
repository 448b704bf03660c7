/* alarm.c - timers that call a function on the loop's own stack
 *
 * For what lives beside the tasks, such as the timers of another library. A
 * place in the heap is kept for each, as nobody is there who could be told
 * that there is no memory for one.
 */
#include "core/loop.h"

int calm__alarm_open(
    struct calm__alarm *alarm, void (*ring)(struct calm__alarm *alarm))
{
    struct calm__heap *timers = &calm__loop_here->timers;
    int rc = calm__heap_reserve(timers, timers->count + 1);
    if (rc < 0)
        return rc;
    timers->kept++;
    *alarm = (struct calm__alarm){
        .timer.kind = CALM__TIMER_ALARM,
        .ring = ring,
        .loop = calm__loop_here,
    };
    return 0;
}

void calm__alarm_set(struct calm__alarm *alarm, int64_t time)
{
    struct calm__heap *timers = &alarm->loop->timers;
    calm__heap_remove(timers, &alarm->timer);
    alarm->timer.deadline = time;
    if (time != CALM_FOREVER)
        calm__heap_insert(timers, &alarm->timer);
}

void calm__alarm_close(struct calm__alarm *alarm)
{
    calm__alarm_set(alarm, CALM_FOREVER);
    alarm->loop->timers.kept--;
}

int64_t calm__loop_time(const struct calm__loop *loop)
{
    return loop->now;
}

bool calm__loop_is_virtual(const struct calm__loop *loop)
{
    return loop->config.virtual_clock;
}
