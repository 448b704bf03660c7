/* async_basics.c - three slow steps in turn, then two of them at once
 *
 * The waits stand in for a network and a disk: they are simulated. The real
 * ones are in async_file_io and async_api_calls.
 */
#include <calm.h>
#include <stdio.h>

struct dataset {
    const char *name;
    int samples;
};

static int slowly(const char *doing, const char *name, int64_t duration)
{
    printf("  %s %s ...\n", doing, name);
    return calm_sleep(duration);
}

static int download_model(void *name)
{
    return slowly("downloading", name, 2 * CALM_S);
}

static int load_dataset(void *arg)
{
    struct dataset *data = arg;
    data->samples = 1000;
    return slowly("loading", data->name, 1 * CALM_S);
}

static int preprocess(struct dataset *data)
{
    return slowly("preprocessing", data->name, 1500 * CALM_MS);
}

static int in_turn(void *arg)
{
    struct dataset data = {"imagenet"};
    int64_t start = calm_now();
    int rc = download_model("resnet50");
    rc = rc < 0 ? rc : load_dataset(&data);
    rc = rc < 0 ? rc : preprocess(&data);
    printf("one after the other: %.2f s\n", calm_seconds_since(start));
    return rc;
}

static int at_once(void *arg)
{
    struct dataset data = {"imagenet"};
    calm_call calls[] = {{download_model, "resnet50"}, {load_dataset, &data}};
    int64_t start = calm_now();
    int rc = calm_gather(calls, 2, NULL);
    rc = rc < 0 ? rc : preprocess(&data);
    printf("two at once: %.2f s\n", calm_seconds_since(start));
    return rc;
}

int main(void)
{
    return calm_run(in_turn, NULL) < 0 || calm_run(at_once, NULL) < 0;
}
