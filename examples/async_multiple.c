/* async_multiple.c - many tasks at once: a batch of samples, several models
 *
 * What a sample and a download take is drawn at random and slept through.
 */
#include <calm.h>
#include <stdio.h>
#include <stdlib.h>

struct job {
    const char *name;
    double least, most; /* seconds */
    double seconds;     /* what it took */
};

static int work(void *arg)
{
    struct job *job = arg;
    job->seconds = job->least + (job->most - job->least) * drand48();
    return calm_sleep((int64_t)(job->seconds * CALM_S));
}

static int process_batch(void)
{
    struct job samples[10];
    for (int i = 0; i < 10; i++)
        samples[i] = (struct job){"sample", 0.1, 0.5, 0};
    int64_t start = calm_now();
    int rc = calm_map(work, samples, 10, sizeof *samples, NULL);
    double seconds = calm_seconds_since(start), sum = 0;
    for (int i = 0; i < 10; i++)
        sum += samples[i].seconds;
    printf("10 samples at once: %.2f s, one by one %.2f s\n", seconds, sum);
    return rc;
}

static int download_models(void)
{
    struct job models[] = {{"resnet50", 0.5, 2}, {"vgg16", 0.5, 2},
        {"mobilenet", 0.5, 2}, {"efficientnet", 0.5, 2}};
    int64_t start = calm_now();
    int rc = calm_map(work, models, 4, sizeof *models, NULL);
    printf("4 models at once: %.2f s\n", calm_seconds_since(start));
    for (int i = 0; i < 4; i++)
        printf("  %-12s %.2f s\n", models[i].name, models[i].seconds);
    return rc;
}

static int run(void *arg)
{
    int rc = process_batch();
    return rc < 0 ? rc : download_models();
}

int main(void)
{
    srand48(calm_now());
    return calm_run(run, NULL) < 0;
}
