/* model_values.c - predicts raw floats by a model, for model_python.sh
 *
 * usage: model_values MODEL MATRIX VALUES [all|best]
 *
 * MATRIX and VALUES hold floats as they are in memory, without a header, so
 * that no text stands between calm's numbers and Python's.
 */
#include <calm.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BATCH = 100 };

static int predict(calm_model *model, FILE *in, FILE *out)
{
    size_t columns = calm_model_features(model);
    size_t values = calm_model_values(model);
    float *matrix = malloc(BATCH * columns * sizeof *matrix);
    float *answers = malloc(BATCH * values * sizeof *answers);
    size_t rows;
    int rc = matrix && answers ? 0 : -ENOMEM;
    while (rc == 0 &&
           (rows = fread(matrix, columns * sizeof *matrix, BATCH, in)) > 0) {
        rc = calm_model_predict(model, matrix, rows, columns, answers);
        if (rc == 0)
            fwrite(answers, values * sizeof *answers, rows, out);
    }
    free(matrix);
    free(answers);
    return rc;
}

static int work(void *arg)
{
    char **argv = arg;
    calm_model_opts opts = {0};
    calm_model *model;
    if (argv[4])
        opts.rounds = strcmp(argv[4], "best") == 0 ? CALM_MODEL_ROUNDS_BEST
                                                   : CALM_MODEL_ROUNDS_ALL;
    int rc = calm_model_open(argv[1], &opts, &model);
    if (rc < 0)
        return rc;
    FILE *in = fopen(argv[2], "rb"), *out = fopen(argv[3], "wb");
    rc = in && out ? predict(model, in, out)
                   : calm_fail(-errno, "cannot open the files: %m");
    if (in)
        fclose(in);
    if (out && fclose(out) != 0 && rc == 0)
        rc = calm_fail(-errno, "cannot write '%s': %m", argv[3]);
    calm_model_close(model);
    return rc;
}

int main(int argc, char **argv)
{
    if (argc < 4)
        return 2;
    int rc = calm_run(work, argv);
    if (rc < 0)
        fprintf(stderr, "%s\n", calm_message(rc));
    return rc < 0;
}
