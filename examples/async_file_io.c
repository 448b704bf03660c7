/* async_file_io.c - real files: written and read at once, CSV in and out */
#include <calm.h>
#include <stdio.h>

enum { FILES = 5, PREDICTIONS = 100 };

struct text_file {
    char path[32];
    calm_bytes text;
};

static int write_file(void *arg)
{
    struct text_file *file = arg;
    for (int line = 0; line < 10; line++)
        calm_bytes_printf(&file->text, "line %d of %s\n", line, file->path);
    return calm_file_write_all(
        file->path, file->text.data, file->text.len, CALM_REPLACE);
}

static int read_file(void *arg)
{
    struct text_file *file = arg;
    return calm_file_read_all(file->path, &file->text);
}

static int read_those_there_are(struct text_file *files, int count)
{
    calm_result results[FILES + 1];
    int64_t start = calm_now();
    int good = 0, rc = calm_map(read_file, files, count, sizeof *files,
                      &(calm_map_opts){.results = results});
    double seconds = calm_seconds_since(start);
    for (int i = 0; i < count; i++) {
        good += results[i].code == 0;
        if (results[i].code < 0)
            printf("  skipped: %s\n", results[i].message);
    }
    printf("read %d of %d files at once in %.4f s\n", good, count, seconds);
    return rc;
}

static int save_predictions(const char *path)
{
    calm_bytes out = {0};
    calm_csv_writer csv = {.out = &out};
    calm_csv_put_header(&csv, "sample_id", "prediction", "label", NULL);
    for (int i = 0; i < PREDICTIONS; i++) {
        calm_csv_put_int(&csv, i);
        calm_csv_put_double(&csv, 0.9);
        calm_csv_put_int(&csv, 1);
        calm_csv_end_row(&csv);
    }
    int rc = calm_file_write_all(path, out.data, out.len, CALM_ATOMIC);
    calm_bytes_clear(&out);
    return csv.error < 0 ? csv.error : rc;
}

static int read_records(const char *path)
{
    calm_bytes text = {0};
    calm_csv_table *csv = NULL;
    int rc = calm_file_read_all(path, &text);
    rc = rc < 0 ? rc : calm_csv_table_parse(text.data, text.len, NULL, &csv);
    if (rc == 0)
        printf("%zu records, the first prediction is %s\n",
            calm_csv_table_rows(csv), calm_csv_table_get(csv, 0, "prediction"));
    calm_csv_table_free(csv);
    calm_bytes_clear(&text);
    return rc;
}

static int run(void *arg)
{
    struct text_file files[FILES + 1] = {[FILES] = {"missing.txt"}};
    for (int i = 0; i < FILES; i++)
        snprintf(files[i].path, sizeof files[i].path, "data_%d.txt", i);
    int rc = calm_map(write_file, files, FILES, sizeof *files, NULL);
    rc = rc < 0 ? rc : read_those_there_are(files, FILES + 1);
    rc = rc < 0 ? rc : save_predictions("predictions.csv");
    rc = rc < 0 ? rc : read_records("predictions.csv");
    for (int i = 0; i <= FILES; i++)
        calm_bytes_clear(&files[i].text);
    return rc;
}

int main(void)
{
    int rc = calm_run(run, NULL);
    if (rc < 0)
        fprintf(stderr, "%s\n", calm_message(rc));
    return rc < 0;
}
