/* ml/format.h - what a file format must offer to be a dataset */
#ifndef CALM_ML_FORMAT_H
#define CALM_ML_FORMAT_H

#include "ml/dataset.h"

/* Where the cutting stands: one of the two. */
struct calm__format_state;

struct calm__format {
    /* Cuts a block of at most rows_max rows, as calm_csv_cut(). */
    int (*cut)(struct calm__dataset *dataset, size_t rows_max, bool at_end,
        const char *data, size_t len, calm_csv_block *ret_block);

    /* Reads the names of the columns from the first block, which has one row;
     * whether that row is nothing but names, and no data. */
    int (*head)(struct calm__dataset *dataset, const calm_csv_block *block);
    bool head_is_names;

    /* The calls of a reader, see dataset.h. */
    int (*rows_open)(struct calm__rows *rows);
    void (*rows_close)(struct calm__rows *rows);
    int (*floats)(struct calm__rows *rows, const calm_csv_block *block,
        float *values, struct calm__row *ret_rows);
    void (*cells_begin)(struct calm__rows *rows, const calm_csv_block *block);
    int (*cells_next)(struct calm__rows *rows, struct calm__cell *cells,
        struct calm__row *ret_row);
};

extern const struct calm__format calm__format_csv;
extern const struct calm__format calm__format_jsonl;

struct calm__dataset {
    const struct calm__format *format;
    const char *path;
    struct calm_input *input;
    bool is_file; /* and not a pipe */
    calm_csv_opts csv;
    void *cutter;
    char **names;
    size_t name_count;
    calm_csv_header *header; /* of CSV */
    const struct calm__choice *choice;
    size_t *feature_columns, *cell_columns; /* of CSV, by number */
    struct calm__chunk *chunk;              /* being cut */
    size_t cut;                             /* bytes of it that are */
    bool at_end;
    struct calm__chunk *spare;
};

struct calm__rows {
    const struct calm__dataset *dataset;
    void *first;  /* the reader of features */
    void *second; /* the reader of cells and texts, NULL when none are chosen */
    const char *text; /* of the row that it gave last */
    size_t text_len;
    calm_csv_row *csv_rows;
    size_t csv_rows_room;
};

#endif
