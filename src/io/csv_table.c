/* csv_table.c - a whole small file in memory
 *
 * All texts stand one behind the other, each with a NUL, in one buffer; a cell
 * is the place where its text begins, and ends where the next one's begins. The
 * places are put into a buffer of bytes too, which knows how to grow.
 */
#include "io/csv.h"

#include <errno.h>
#include <stdlib.h>

struct calm_csv_table {
    calm_csv_header *header;
    size_t rows;
    size_t columns;
    calm_bytes texts;
    calm_bytes places; /* of size_t: one for each cell, and the end */
};

void calm_csv_table_free(calm_csv_table *table)
{
    if (!table)
        return;
    calm_csv_header_free(table->header);
    calm_bytes_clear(&table->texts);
    calm_bytes_clear(&table->places);
    free(table);
}

static int add_place(calm_csv_table *table)
{
    size_t place = table->texts.len;
    return calm_bytes_append(&table->places, &place, sizeof place);
}

static int add_record(calm_csv_table *table, const calm_csv_record *record)
{
    if (record->status < 0)
        return calm_fail(record->status, "%s", record->cause);
    for (size_t i = 0; i < record->count; i++) {
        const calm_csv_field *field = &record->fields[i];
        int rc = add_place(table);
        if (rc == 0)
            rc = calm_bytes_append(&table->texts, field->text, field->len);
        if (rc == 0)
            rc = calm_bytes_append(&table->texts, "", 1);
        if (rc < 0)
            return rc;
    }
    table->rows++;
    return 0;
}

static int add_block(calm_csv_table *table, calm_csv_splitter *splitter,
    const calm_csv_block *block)
{
    calm_csv_split(splitter, block);
    calm_csv_record record;
    int rc;
    while ((rc = calm_csv_next(splitter, &record)) > 0) {
        if (table->header) {
            rc = add_record(table, &record);
        } else {
            table->columns = record.count;
            rc = calm_csv_header_new(&record, &table->header);
        }
        if (rc < 0)
            break;
    }
    return rc;
}

static int fill(calm_csv_table *table, calm_csv_splitter *splitter,
    calm_csv_cutter *cutter, const char *text, size_t len)
{
    const char *end = text + len;
    calm_csv_block block;
    int rc;
    while (
        (rc = calm_csv_cut(cutter, text, (size_t)(end - text), &block)) > 0) {
        rc = add_block(table, splitter, &block);
        if (rc < 0)
            return rc;
        text = block.data + block.len;
    }
    if (rc == 0 && !table->header)
        rc = calm_fail(CALM_EFORMAT, "the csv text has no header");
    return rc < 0 ? rc : add_place(table);
}

int calm_csv_table_parse(const char *text, size_t len,
    const calm_csv_opts *opts, calm_csv_table **ret_table)
{
    calm_csv_cutter cutter;
    calm_csv_splitter *splitter = NULL;
    int rc = calm_csv_cutter_init(&cutter, opts);
    if (rc < 0)
        return rc;
    cutter.at_end = true;
    calm_csv_table *table = calloc(1, sizeof *table);
    if (!table)
        return calm_fail(-ENOMEM, "cannot allocate a csv table");
    rc = calm_csv_splitter_new(opts, &splitter);
    if (rc == 0)
        rc = fill(table, splitter, &cutter, text, len);
    calm_csv_splitter_free(splitter);
    if (rc < 0) {
        calm_csv_table_free(table);
        return rc;
    }
    *ret_table = table;
    return 0;
}

size_t calm_csv_table_rows(const calm_csv_table *table)
{
    return table->rows;
}

const calm_csv_header *calm_csv_table_header(const calm_csv_table *table)
{
    return table->header;
}

const char *calm_csv_table_cell(
    const calm_csv_table *table, size_t row, size_t column, size_t *ret_len)
{
    if (row >= table->rows || column >= table->columns)
        return NULL;
    const size_t *place =
        (const size_t *)table->places.data + row * table->columns + column;
    if (ret_len)
        *ret_len = place[1] - place[0] - 1;
    return table->texts.data + place[0];
}

const char *calm_csv_table_get(
    const calm_csv_table *table, size_t row, const char *column)
{
    size_t number;
    if (calm_csv_header_find(table->header, column, &number) < 0)
        return NULL;
    const char *text = calm_csv_table_cell(table, row, number, NULL);
    if (!text)
        calm_fail(-ENOENT, "there is no row %zu among %zu", row, table->rows);
    return text;
}
