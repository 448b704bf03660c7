/* jsonl_names.c - which members the rows of a file have, by its first */
#include "io/json.h"

#include "base/fault.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* One piece of memory: the array, and the names behind it. */
static int copy_members(const calm_json_value *object,
    calm_json_member **ret_members, size_t *ret_count)
{
    size_t count = calm_json_count(object), texts = 0;
    const calm_json_value *each = calm_json_first(object);
    for (; each; each = calm_json_next(each))
        texts += strlen(calm_json_name(each)) + 1;
    calm_json_member *members =
        calm__alloc((count + 1) * sizeof *members + texts);
    if (!members)
        return calm_fail(-ENOMEM, "no memory for %zu names", count);
    char *to = (char *)(members + count + 1);
    calm_json_member *member = members;
    for (each = calm_json_first(object); each; each = calm_json_next(each)) {
        const char *name = calm_json_name(each);
        size_t size = strlen(name) + 1;
        memcpy(to, name, size);
        *member++ = (calm_json_member){to, calm_json_kind_of(each)};
        to += size;
    }
    *ret_members = members;
    *ret_count = count;
    return 0;
}

static int parse_members(const calm_json_record *record,
    calm_json_member **ret_members, size_t *ret_count)
{
    calm_json_opts opts = {.size_max = CALM__JSON_MOST};
    calm_json_doc *doc;
    int rc = calm_json_parse(record->text, record->len, &opts, &doc);
    if (rc < 0)
        return rc;
    rc = copy_members(calm_json_root(doc), ret_members, ret_count);
    calm_json_free(doc);
    return rc;
}

int calm_jsonl_names(const calm_csv_block *block,
    calm_json_member **ret_members, size_t *ret_count)
{
    calm_jsonl_reader *reader;
    calm_json_record record;
    calm_jsonl_opts opts = {.record_max = CALM__JSON_MOST};
    int rc = calm_jsonl_reader_new(NULL, 0, &opts, &reader);
    if (rc < 0)
        return rc;
    /* The reader says what is wrong with a line in the words of a row. */
    calm_jsonl_split(reader, block);
    rc = calm_jsonl_next(reader, &record);
    if (rc == 0)
        rc = calm_fail(-ENOENT, "there is no row to take names from");
    else if (rc > 0 && record.status < 0)
        rc = calm_fail(record.status, "%s", record.cause);
    else if (rc > 0)
        rc = parse_members(&record, ret_members, ret_count);
    calm_jsonl_reader_free(reader);
    return rc;
}
