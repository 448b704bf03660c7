/* async_api_calls.c - ten GETs at once, then samples by POST in batches
 *
 *     calm serve model_0=model.json model_1=model.json --port 8000 &
 *     async_api_calls http://127.0.0.1:8000
 *
 * The other eight that it asks for are errors, which stop nobody.
 */
#include <calm.h>
#include <stdio.h>

enum { MODELS = 10, BATCHES = 4, BATCH = 25, FEATURES = 30 };
static calm_http *http;
static char predict[96];

static int fetch_metadata(void *url)
{
    calm_json_doc *metadata = NULL;
    calm_timeout timeout;
    calm_timeout_begin(&timeout, 10 * CALM_S);
    int rc = calm_http_get_json(http, url, &metadata);
    calm_json_free(metadata);
    return calm_timeout_end(&timeout, rc);
}

static int send_batch(void *samples)
{
    calm_json_doc *answer = NULL;
    calm_bytes body = {0};
    calm_json_writer json = {.out = &body};
    calm_json_begin_object(&json);
    calm_json_put_key(&json, "samples");
    calm_json_put_matrix(&json, samples, BATCH, FEATURES);
    calm_json_end_object(&json);
    int rc =
        calm_http_post_get_json(http, predict, body.data, body.len, &answer);
    printf("%zu predictions\n",
        calm_json_count(calm_json_get(calm_json_root(answer), "predictions")));
    calm_json_free(answer);
    calm_bytes_clear(&body);
    return rc;
}

static int run(void *server)
{
    static float samples[BATCHES][BATCH * FEATURES];
    char urls[MODELS][96];
    calm_result results[MODELS];
    for (int i = 0; i < MODELS; i++)
        snprintf(urls[i], 96, "%s/v2/models/model_%d", (char *)server, i);
    snprintf(predict, 96, "%s/predict", (char *)server);
    int rc = calm_http_open(NULL, &http);
    if (rc < 0)
        return rc;
    calm_map(fetch_metadata, urls, MODELS, sizeof *urls,
        &(calm_map_opts){.results = results});
    for (int i = 0; i < MODELS; i++)
        printf("model_%d: %s\n", i,
            results[i].code < 0 ? results[i].message : "success");
    rc = calm_map(send_batch, samples, BATCHES, sizeof *samples, NULL);
    calm_http_close(http);
    return rc;
}

int main(int argc, char **argv)
{
    return calm_run(run, argc > 1 ? argv[1] : "http://127.0.0.1:8000") < 0;
}
