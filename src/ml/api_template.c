/* api_template.c - a request's text with {{column}} in it
 *
 *     {"model": "m", "messages": [{"role": "user", "content": "Is {{text}}?"}]}
 *
 * Within a string of the template a cell is text, escaped. Outside of one it
 * must be JSON and stands there as it is: a number, a list; nothing is null,
 * and a string of JSON Lines keeps its quotes. So whatever a cell holds, the
 * request has the form that the template gives it.
 *
 * {{column[]}} in the only element of an array makes one request of many rows:
 * that element is repeated for each.
 *
 *     {"model": "m", "input": ["{{text[]}}"]}  ->  "input": ["a", "b", "c"]
 */
#include "ml/api_inside.h"

#include "base/buffer.h"
#include "base/fault.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* A placeholder, or the text in front of one. */
struct part {
    size_t start, end; /* in the template */
    char *name;        /* NULL: text */
    int column;
    bool quoted; /* it stands in a string */
};

struct template
{
    const char *text;
    size_t len;
    struct part *parts;
    size_t count;
    bool repeats;       /* there is a [] */
    size_t first, last; /* the element that is repeated, or all */
    char *head, *tail;  /* around it */
    bool indexed;       /* elements of the answer have numbers */
    bool collects;      /* the text of several items is one */
};

/* ---- reading ------------------------------------------------------------- */

/* Where reading stands: in a string, begun where. */
struct reading {
    size_t at;
    bool string;
    size_t quote;
};

static int add_part(struct template *template, struct part part)
{
    if (part.start == part.end)
        return 0;
    struct part *parts =
        calm__realloc(template->parts, (template->count + 1) * sizeof *parts);
    if (!parts) {
        free(part.name);
        return calm_fail(-ENOMEM, "no memory for a template");
    }
    template->parts = parts;
    parts[template->count++] = part;
    return 0;
}

/* The place is a {{; takes it with its }}. */
static int take_placeholder(
    struct template *template, struct reading *reading, bool *ret_repeats)
{
    const char *start = template->text + reading->at + 2;
    size_t left = template->len - reading->at - 2;
    const char *end = memmem(start, left, "}}", 2);
    if (!end)
        return calm_fail(-EINVAL, "a '{{' of the template has no '}}'");
    struct part part = {.start = reading->at,
        .end = (size_t)(end + 2 - template->text),
        .quoted = reading->string};
    while (start < end && *start == ' ')
        start++;
    while (start < end && end[-1] == ' ')
        end--;
    *ret_repeats = end - start >= 2 && memcmp(end - 2, "[]", 2) == 0;
    end -= *ret_repeats ? 2 : 0;
    if (start == end || memchr(start, '\0', (size_t)(end - start)))
        return calm_fail(-EINVAL, "a '{{}}' of the template names no column");
    part.name = strndup(start, (size_t)(end - start));
    if (!part.name)
        return calm_fail(-ENOMEM, "no memory for a template");
    reading->at = part.end;
    return add_part(template, part);
}

/* Steps over what is no placeholder, one byte or an escaped one. */
static void step(const struct template *template, struct reading *reading)
{
    char c = template->text[reading->at];
    if (c == '"') {
        reading->string = !reading->string;
        reading->quote = reading->at;
    }
    reading->at += reading->string && c == '\\' ? 2 : 1;
}

/* The end of the string that is open, behind its quote. */
static size_t string_end(
    const struct template *template, struct reading reading)
{
    while (reading.string && reading.at < template->len)
        step(template, &reading);
    return reading.at < template->len ? reading.at : template->len;
}

/* The element around the placeholder that was taken last: the string that it
 * stands in, or itself. */
static int repeat(struct template *template, const struct reading *reading)
{
    const struct part *part = &template->parts[template->count - 1];
    size_t first = part->quoted ? reading->quote : part->start;
    size_t last = part->quoted ? string_end(template, *reading) : part->end;
    if (template->repeats && first != template->first)
        return calm_fail(
            -EINVAL, "'[]' stands in two elements of the template, not in one");
    template->repeats = true;
    template->first = first;
    template->last = last;
    return 0;
}

static int read_template(struct template *template)
{
    struct reading reading = {0};
    size_t start = 0;
    int rc = 0;
    while (rc == 0 && reading.at < template->len) {
        size_t at = reading.at;
        bool repeats = false;
        if (template->len - at < 2 ||
            memcmp(template->text + at, "{{", 2) != 0) {
            step(template, &reading);
            continue;
        }
        rc = add_part(template, (struct part){.start = start, .end = at});
        if (rc == 0)
            rc = take_placeholder(template, &reading, &repeats);
        if (rc == 0 && repeats)
            rc = repeat(template, &reading);
        start = reading.at;
    }
    if (rc == 0)
        rc = add_part(
            template, (struct part){.start = start, .end = template->len});
    return rc;
}

/* ---- checking ------------------------------------------------------------ */

/* The template with an empty array for each placeholder, which is no name and
 * cannot be a part of a number; of the same length, so that places in messages
 * are right. */
static int check_json(const struct template *template)
{
    char *filled = calm__alloc(template->len + 1);
    calm_json_doc *doc;
    if (!filled)
        return calm_fail(-ENOMEM, "no memory for a template");
    memcpy(filled, template->text, template->len);
    for (size_t i = 0; i < template->count; i++) {
        const struct part *part = &template->parts[i];
        if (!part->name)
            continue;
        memset(filled + part->start, ' ', part->end - part->start);
        memcpy(filled + part->start, "[]", 2);
    }
    int rc = calm_json_parse(filled, template->len, NULL, &doc);
    free(filled);
    if (rc == -ENOMEM)
        return rc;
    if (rc < 0)
        return calm_fail(
            -EINVAL, "the template is not JSON: %s", calm_message(rc));
    bool stream = calm_json_true(calm_json_get(calm_json_root(doc), "stream"));
    calm_json_free(doc);
    if (stream)
        return calm_fail(
            -EINVAL, "the template asks for a stream, which cannot be read");
    return 0;
}

static bool is_white(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

/* With [] all placeholders are in one element, the only one of an array. */
static int check_repeated(const struct template *template)
{
    size_t first = template->first, last = template->last;
    for (size_t i = 0; i < template->count; i++) {
        const struct part *part = &template->parts[i];
        if (part->name && (part->start < first || part->end > last))
            return calm_fail(-EINVAL,
                "'{{%s}}' stands outside of the element that [] repeats, and "
                "would be another for each row",
                part->name);
    }
    while (first > 0 && is_white(template->text[first - 1]))
        first--;
    while (last < template->len && is_white(template->text[last]))
        last++;
    if (first == 0 || template->text[first - 1] != '[' ||
        last == template->len || template->text[last] != ']')
        return calm_fail(-EINVAL,
            "what [] repeats is not the only element of an array\n"
            "hint: [\"{{text[]}}\"]");
    return 0;
}

static int check_placeholders(struct template *template)
{
    size_t found = 0;
    for (size_t i = 0; i < template->count; i++)
        found += template->parts[i].name != NULL;
    if (found == 0)
        return calm_fail(-EINVAL, "the template has no '{{column}}' in it");
    if (!template->repeats) {
        template->last = template->len;
        return 0;
    }
    return check_repeated(template);
}

/* ---- opening ------------------------------------------------------------- */

/* Where the endpoints of OpenAI have their results. */
static int choose_path(struct calm__api *api, struct template *template)
{
    static const struct {
        const char *endpoint, *one, *many;
        bool indexed, collects;
    } endpoints[] = {
        {"/chat/completions", "choices[0].message.content", NULL, false, false},
        {"/completions", "choices[0].text", "choices[].text", true, false},
        {"/embeddings", "data[].embedding", "data[].embedding", true, false},
        {"/moderations", "results[0]", "results[]", false, false},
        {"/responses", "", NULL, false, true},
        {"", "", NULL, false, false},
    };
    size_t i = 0;
    while (!calm__url_ends(api->opts.url, endpoints[i].endpoint))
        i++;
    const char *path = api->opts.result_path;
    template->indexed = endpoints[i].indexed;
    template->collects = endpoints[i].collects && !path;
    if (!path)
        path = template->repeats ? endpoints[i].many : endpoints[i].one;
    if (!path)
        return calm_fail(-EINVAL,
            "a template with [] needs a --result-path for the array of its "
            "results");
    return calm__path_parse(path, &api->path);
}

static int template_open(struct calm__api *api)
{
    struct template *template = calloc(1, sizeof *template);
    if (!template)
        return calm_fail(-ENOMEM, "no memory for an API");
    api->own = template;
    template->text = api->opts.template;
    template->len = api->opts.template_len;
    int rc = read_template(template);
    if (rc == 0)
        rc = check_json(template);
    if (rc == 0)
        rc = check_placeholders(template);
    if (rc == 0)
        rc = choose_path(api, template);
    if (rc < 0)
        return rc;
    if (!template->repeats)
        api->rows_max = 1;
    template->head = strndup(template->text, template->first);
    template->tail = strndup(
        template->text + template->last, template->len - template->last);
    return template->head && template->tail
               ? 0
               : calm_fail(-ENOMEM, "no memory for a template");
}

static void template_close(struct calm__api *api)
{
    struct template *template = api->own;
    if (!template)
        return;
    for (size_t i = 0; i < template->count; i++)
        free(template->parts[i].name);
    free(template->parts);
    free(template->head);
    free(template->tail);
    free(template);
}

static int template_choose(
    struct calm__api *api, const struct calm__api_table *table)
{
    struct template *template = api->own;
    for (size_t i = 0; i < template->count; i++) {
        struct part *part = &template->parts[i];
        if (!part->name)
            continue;
        if (!calm__api_table_has(table, part->name))
            return calm_fail(-EINVAL,
                "there is no column '%s', which the template names",
                part->name);
        if (table->truth && strcmp(part->name, table->truth) == 0)
            return calm_fail(
                -EINVAL, "the truth '%s' is also in the template", part->name);
        part->column = calm__api_add_column(api, part->name);
        if (part->column < 0)
            return part->column;
    }
    return 0;
}

/* ---- rows ---------------------------------------------------------------- */

/* Within a string: what is in the quotes of the cell's text. */
static int put_quoted(const struct calm__cell *cell, calm_bytes *out)
{
    if (cell->absent || cell->len == 0)
        return 0;
    size_t start = out->len;
    calm_json_writer json = {.out = out};
    int rc = calm_json_put_bytes(&json, cell->text, cell->len);
    if (rc < 0)
        return rc;
    out->len -= 2;
    memmove(out->data + start, out->data + start + 1, out->len - start);
    return 0;
}

static int put_bare(const struct calm__api *api, size_t column,
    const struct calm__cell *cell, calm_bytes *out)
{
    bool text = !cell->json && !calm__api_is_nothing(api, cell);
    if (!text || api->opts.json_rows)
        return calm__api_put_cell(api, cell, out);
    int rc = calm_json_check(cell->text, cell->len, NULL);
    if (rc == -ENOMEM)
        return rc;
    if (rc < 0)
        return calm__api_refuse(api, column, cell,
            "is not JSON, and stands outside of quotes in the template");
    return calm_bytes_append(out, cell->text, cell->len);
}

static int template_row(const struct calm__api *api,
    const struct calm__cell *cells, calm_bytes *out)
{
    const struct template *template = api->own;
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < template->count; i++) {
        const struct part *part = &template->parts[i];
        size_t start = part->start, end = part->end;
        if (part->name) {
            const struct calm__cell *cell = &cells[part->column];
            rc = part->quoted ? put_quoted(cell, out)
                              : put_bare(api, (size_t)part->column, cell, out);
            continue;
        }
        start = start < template->first ? template->first : start;
        end = end > template->last ? template->last : end;
        if (start < end)
            rc = calm_bytes_append(out, template->text + start, end - start);
    }
    return rc;
}

static int template_request(const struct calm__api *api, const char *data,
    const struct calm__api_span *spans, size_t count, uint64_t id,
    struct calm__api_request *request)
{
    const struct template *template = api->own;
    return calm__api_join(
        template->head, data, spans, count, template->tail, &request->body);
}

/* ---- answers ------------------------------------------------------------- */

static bool is_of_type(const calm_json_value *value, const char *type)
{
    const char *text = calm_json_text(calm_json_get(value, "type"), NULL);
    return text && strcmp(text, type) == 0;
}

/* output[].content[].text of all messages, one behind the other. */
static int collect(const calm_json_value *root, calm_bytes *text,
    struct calm__api_result *result)
{
    const calm_json_value *item, *piece;
    bool found = false;
    int rc = 0;
    *result = (struct calm__api_result){.start = text->len};
    for (item = calm_json_first(calm_json_get(root, "output")); item;
         item = calm_json_next(item)) {
        piece = calm_json_first(calm_json_get(item, "content"));
        for (; is_of_type(item, "message") && piece;
             piece = calm_json_next(piece)) {
            size_t len;
            const char *part =
                calm_json_text(calm_json_get(piece, "text"), &len);
            if (!part || !is_of_type(piece, "output_text"))
                continue;
            found = true;
            if (rc == 0)
                rc = calm_bytes_append(text, part, len);
        }
    }
    result->len = text->len - result->start;
    return found ? rc
                 : calm_fail(CALM_EFORMAT, "there is no output text in it");
}

static int template_answer(const struct calm__api *api,
    const struct calm__api_answer *answer, size_t count, calm_bytes *text,
    struct calm__api_result *results, struct calm__api_usage *usage)
{
    const struct template *template = api->own;
    const struct calm__path *path = &api->path;
    const calm_json_value *value;
    struct calm__reply reply;
    int rc = calm__reply_open(&reply, answer->body, answer->len, false);
    if (rc < 0)
        return rc;
    const calm_json_value *root = calm_json_root(reply.doc);
    if (template->collects) {
        rc = collect(root, text, &results[0]);
    } else if (template->repeats || path->rows < path->count) {
        rc = calm__reply_rows(
            &reply, path, root, count, template->indexed, text, results);
    } else {
        rc = calm__path_walk(path, 0, path->count, root, &value);
        if (rc == 0)
            rc = calm__reply_put(&reply, value, text, &results[0]);
    }
    if (rc == 0)
        calm__reply_usage(root, usage);
    calm__reply_close(&reply);
    return rc;
}

const struct calm__api_format calm__api_template = {
    .open = template_open,
    .close = template_close,
    .choose = template_choose,
    .row = template_row,
    .request = template_request,
    .answer = template_answer,
};
