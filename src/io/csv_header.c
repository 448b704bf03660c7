/* csv_header.c - the names of the columns
 *
 * Files with thousands of columns have them looked up a few times, before the
 * rows: going through the names is fast enough, and finds doubles for free.
 */
#include "io/csv.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct calm_csv_header {
    size_t count;
    char *names[];
};

int calm_csv_header_new(
    const calm_csv_record *record, calm_csv_header **ret_header)
{
    if (record->status < 0)
        return calm_fail(record->status, "%s",
            record->cause ? record->cause : "the header is not readable");
    /* The names stand behind the pointers, in the same allocation. */
    size_t pointers = record->count * sizeof(char *), bytes = 0;
    for (size_t i = 0; i < record->count; i++)
        bytes += (size_t)record->fields[i].len + 1;
    calm_csv_header *header = malloc(sizeof *header + pointers + bytes);
    if (!header)
        return calm_fail(-ENOMEM, "cannot allocate a header");
    header->count = record->count;
    char *to = (char *)(header->names + record->count);
    for (size_t i = 0; i < record->count; i++) {
        const calm_csv_field *field = &record->fields[i];
        header->names[i] = to;
        memcpy(to, field->text, field->len);
        to += field->len;
        *to++ = '\0';
    }
    *ret_header = header;
    return 0;
}

void calm_csv_header_free(calm_csv_header *header)
{
    free(header);
}

size_t calm_csv_header_count(const calm_csv_header *header)
{
    return header->count;
}

const char *calm_csv_header_name(const calm_csv_header *header, size_t column)
{
    return column < header->count ? header->names[column] : NULL;
}

/* The names, as many as are good to read in a message. */
static int refuse_unknown(const calm_csv_header *header, const char *name)
{
    calm_bytes list = {0};
    int rc = 0;
    for (size_t i = 0; i < header->count && rc == 0; i++) {
        if (list.len > 400) {
            rc = calm_bytes_append_text(&list, ", ...");
            break;
        }
        rc = calm_bytes_printf(
            &list, "%s'%.80s'", i ? ", " : "", header->names[i]);
    }
    if (rc == 0)
        rc = calm_fail(-ENOENT,
            "there is no column '%.80s'\nhint: the columns are %s", name,
            calm_bytes_text(&list));
    calm_bytes_clear(&list);
    return rc;
}

int calm_csv_header_find(
    const calm_csv_header *header, const char *name, size_t *ret_column)
{
    size_t found = header->count;
    for (size_t i = 0; i < header->count; i++) {
        if (strcmp(header->names[i], name) != 0)
            continue;
        if (found < header->count)
            return calm_fail(CALM_EFORMAT,
                "the columns %zu and %zu both have the name '%.80s'", found + 1,
                i + 1, name);
        found = i;
    }
    if (found == header->count)
        return refuse_unknown(header, name);
    *ret_column = found;
    return 0;
}
