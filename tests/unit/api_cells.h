/* api_cells.h - rows for the tests of the API formats, written as CSV or as
 * one line of JSON, and what becomes of them
 */
#ifndef TEST_API_CELLS_H
#define TEST_API_CELLS_H

#include "ml/api.h"

#include <stdlib.h>
#include <string.h>

enum { CELLS_MOST = 16 };

/* The cells of "1.5,,abc"; commas are all that separates. */
static inline void cells_of(const char *line, struct calm__cell *cells)
{
    for (size_t i = 0; i < CELLS_MOST; i++) {
        size_t len = strcspn(line, ",");
        cells[i] = (struct calm__cell){.text = line, .len = len};
        bool spaces = len > 0 && (line[0] <= ' ' || line[len - 1] <= ' ');
        cells[i].json = !spaces && calm_json_check(line, len, NULL) == 0 &&
                        (line[0] == '-' || (line[0] >= '0' && line[0] <= '9'));
        line += len + (line[len] == ',');
    }
}

/* The members NAMES of an object; the document must outlive the cells. */
static inline void cells_of_object(const calm_json_doc *doc,
    const char *const *names, size_t count, struct calm__cell *cells)
{
    for (size_t i = 0; i < count; i++) {
        const calm_json_value *value =
            calm_json_get(calm_json_root(doc), names[i]);
        enum calm_json_kind kind = calm_json_kind_of(value);
        cells[i] = (struct calm__cell){
            .absent = kind == CALM_JSON_MISSING || kind == CALM_JSON_NULL,
            .json = kind != CALM_JSON_STRING,
        };
        cells[i].text = kind == CALM_JSON_STRING
                            ? calm_json_text(value, &cells[i].len)
                            : calm_json_raw(value, &cells[i].len);
    }
}

/* Several rows, one on each line of LINES, as one request: its URL, a line
 * end, and its body. Rows that cannot be sent are there as their sentence. */
struct asked {
    calm_bytes samples, errors;
    struct calm__api_span spans[64];
    size_t count;
    struct calm__api_request request;
    int rc;
};

static inline void asked_clear(struct asked *asked)
{
    calm_bytes_clear(&asked->samples);
    calm_bytes_clear(&asked->errors);
    calm__api_request_clear(&asked->request);
    *asked = (struct asked){0};
}

static inline void ask_row(struct asked *asked, const struct calm__api *api,
    const struct calm__cell *cells)
{
    size_t start = asked->samples.len;
    int rc = calm__api_row(api, cells, &asked->samples);
    if (rc < 0) {
        calm_bytes_printf(&asked->errors, "%s\n", calm_message(rc));
        if (asked->rc == 0)
            asked->rc = rc;
        return;
    }
    asked->spans[asked->count++] =
        (struct calm__api_span){start, asked->samples.len - start};
}

static inline void ask(
    struct asked *asked, const struct calm__api *api, const char *lines)
{
    *asked = (struct asked){0};
    while (*lines) {
        struct calm__cell cells[CELLS_MOST];
        size_t len = strcspn(lines, "\n");
        char *line = strndup(lines, len);
        cells_of(line, cells);
        ask_row(asked, api, cells);
        free(line);
        lines += len + (lines[len] == '\n');
    }
    if (asked->count == 0)
        return;
    int rc = calm__api_request(api, asked->samples.data, asked->spans,
        asked->count, /* id= */ 7, &asked->request);
    if (rc < 0)
        asked->rc = rc;
}

/* The results of an answer, one on each line: as they are, texts in quotes,
 * "null" for none; or the sentence. */
static inline int tell(const struct calm__api *api, const char *body,
    size_t len, size_t json_len, size_t count, calm_bytes *out)
{
    calm_bytes text = {0};
    struct calm__api_result *results =
        calloc(count ? count : 1, sizeof *results);
    struct calm__api_answer answer = {
        .body = body, .len = len, .json_len = json_len, .id = 7};
    int rc = calm__api_answer(api, &answer, count, &text, results, NULL);
    for (size_t i = 0; rc == 0 && i < count; i++) {
        struct calm__cell cell = calm__api_result_cell(&text, &results[i]);
        const char *quote = cell.json || cell.absent ? "" : "'";
        calm_bytes_printf(
            out, "%s%.*s%s\n", quote, (int)cell.len, cell.text, quote);
    }
    if (rc < 0)
        calm_bytes_printf(out, "%s\n", calm_message(rc));
    free(results);
    calm_bytes_clear(&text);
    return rc;
}

#endif
