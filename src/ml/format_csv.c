/* format_csv.c - CSV as a dataset: the first record names the columns */
#include "ml/format.h"

#include "base/error.h"
#include "base/fault.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int csv_cut(struct calm__dataset *dataset, size_t rows_max, bool at_end,
    const char *data, size_t len, calm_csv_block *ret_block)
{
    calm_csv_cutter *cutter = dataset->cutter;
    if (!cutter) {
        cutter = dataset->cutter = calm__alloc(sizeof *cutter);
        if (!cutter)
            return calm_fail(-ENOMEM, "no memory to cut rows");
        int rc = calm_csv_cutter_init(cutter, &dataset->csv);
        if (rc < 0)
            return rc;
    }
    cutter->rows_max = rows_max;
    cutter->at_end = at_end;
    return calm_csv_cut(cutter, data, len, ret_block);
}

static int csv_head(struct calm__dataset *dataset, const calm_csv_block *block)
{
    calm_csv_splitter *splitter;
    int rc = calm_csv_splitter_new(&dataset->csv, &splitter);
    if (rc < 0)
        return rc;
    calm_csv_record record;
    calm_csv_split(splitter, block);
    rc = calm_csv_next(splitter, &record);
    if (rc > 0)
        rc = calm_csv_header_new(&record, &dataset->header);
    if (rc == 0) {
        size_t count = calm_csv_header_count(dataset->header);
        dataset->names = calloc(count, sizeof *dataset->names);
        rc = dataset->names ? 0 : -ENOMEM;
        for (size_t i = 0; rc == 0 && i < count; i++) {
            const char *name = calm_csv_header_name(dataset->header, i);
            dataset->names[i] = strdup(name);
            if (!dataset->names[i])
                rc = -ENOMEM;
            else
                dataset->name_count++;
        }
        dataset->csv.header = dataset->header;
    }
    calm_csv_splitter_free(splitter);
    return calm_while(rc, "'%s'", dataset->path);
}

static int csv_rows_open(struct calm__rows *rows)
{
    const struct calm__dataset *dataset = rows->dataset;
    int rc = calm_csv_splitter_new(
        &dataset->csv, (calm_csv_splitter **)&rows->first);
    if (rc == 0 && (dataset->choice->cell_count > 0 || dataset->choice->text))
        rc = calm_csv_splitter_new(
            &dataset->csv, (calm_csv_splitter **)&rows->second);
    return rc;
}

static void csv_rows_close(struct calm__rows *rows)
{
    if (rows->first)
        calm_csv_splitter_free(rows->first);
    if (rows->second)
        calm_csv_splitter_free(rows->second);
}

static int csv_floats(struct calm__rows *rows, const calm_csv_block *block,
    float *values, struct calm__row *ret_rows)
{
    const struct calm__dataset *dataset = rows->dataset;
    if (block->rows > rows->csv_rows_room) {
        void *room =
            calm__realloc(rows->csv_rows, block->rows * sizeof *rows->csv_rows);
        if (!room)
            return calm_fail(-ENOMEM, "no memory for rows");
        rows->csv_rows = room;
        rows->csv_rows_room = block->rows;
    }
    calm_csv_floats floats = {.columns = dataset->feature_columns,
        .count = dataset->choice->feature_count,
        .missing = dataset->choice->missing};
    calm_csv_split(rows->first, block);
    int count = 0, rc;
    while ((rc = calm_csv_next_floats(rows->first, &floats,
                values + (size_t)count * floats.count, rows->csv_rows + count,
                block->rows - (size_t)count)) > 0)
        count += rc;
    for (int i = 0; i < count; i++) {
        const calm_csv_row *row = &rows->csv_rows[i];
        ret_rows[i] = (struct calm__row){.row = row->row - 1,
            .line = row->line,
            .status = row->status,
            .cause = row->cause};
    }
    return rc < 0 ? rc : count;
}

/* Whether a text is a number as RFC 8259 writes them: -0.5e3, not +5 or 007. */
static bool is_json_number(const char *text, size_t len)
{
    const char *end = text + len;
    text += text < end && *text == '-';
    const char *digits = text;
    while (text < end && *text >= '0' && *text <= '9')
        text++;
    if (text == digits || (*digits == '0' && text - digits > 1))
        return false;
    if (text < end && *text == '.') {
        const char *point = ++text;
        while (text < end && *text >= '0' && *text <= '9')
            text++;
        if (text == point)
            return false;
    }
    if (text < end && (*text == 'e' || *text == 'E')) {
        text++;
        text += text < end && (*text == '+' || *text == '-');
        const char *power = text;
        while (text < end && *text >= '0' && *text <= '9')
            text++;
        if (text == power)
            return false;
    }
    return text == end;
}

static void csv_cells_begin(
    struct calm__rows *rows, const calm_csv_block *block)
{
    calm_csv_split(rows->second, block);
}

static int csv_cells_next(struct calm__rows *rows, struct calm__cell *cells,
    struct calm__row *ret_row)
{
    const struct calm__dataset *dataset = rows->dataset;
    calm_csv_record record;
    int rc = calm_csv_next(rows->second, &record);
    if (rc <= 0)
        return rc;
    rows->text = record.text;
    rows->text_len = record.len;
    if (ret_row)
        *ret_row = (struct calm__row){.row = record.row - 1,
            .line = record.line,
            .status = record.status,
            .cause = record.cause};
    for (size_t i = 0; i < dataset->choice->cell_count; i++) {
        size_t column = dataset->cell_columns[i];
        cells[i] = (struct calm__cell){.absent = true};
        if (record.status < 0 || column >= record.count)
            continue;
        const calm_csv_field *field = &record.fields[column];
        cells[i].absent = false;
        cells[i].text = field->text;
        cells[i].len = field->len;
        /* A text that JSON would write as a number goes out as one. */
        cells[i].json =
            !field->quoted && is_json_number(field->text, field->len);
    }
    return 1;
}

const struct calm__format calm__format_csv = {
    .cut = csv_cut,
    .head = csv_head,
    .head_is_names = true,
    .rows_open = csv_rows_open,
    .rows_close = csv_rows_close,
    .floats = csv_floats,
    .cells_begin = csv_cells_begin,
    .cells_next = csv_cells_next,
};
