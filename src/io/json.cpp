/* json.cpp - the tokens of a JSON text, by simdjson
 *
 * The one C++ file, and the only one that sees simdjson: its first stage, for
 * which it picks the variant for this processor when the program runs. It is
 * built without exceptions and without RTTI, allocates by malloc(), and uses
 * nothing of libstdc++ that is not inline: who links the static library into a
 * C program needs no C++ compiler for it.
 *
 * simdjson calls that stage internal, but exports it, and its own two front
 * ends live on it.
 */
#include "io/json.h"

#include <cerrno>
#include <cstdlib>
#include <memory>
#include <new>

#include <simdjson.h>

struct calm__json_index {
    std::unique_ptr<simdjson::internal::dom_parser_implementation> parser;
};

/* A mark that the walk over the tokens can stop at. simdjson has room for it:
 * its array is longer than any text within the capacity has tokens. */
static void put_end(uint32_t *places, uint32_t count, size_t len)
{
    places[count] = static_cast<uint32_t>(len);
}

static int reserve(calm__json_index *index, size_t len)
{
    if (index->parser && index->parser->capacity() >= len)
        return 0;
    /* Powers of two, so that texts of many lengths need it rarely. */
    size_t capacity = 64;
    while (capacity < len)
        capacity *= 2;
    simdjson::error_code error;
    if (index->parser)
        error = index->parser->set_capacity(capacity);
    else
        error = simdjson::get_active_implementation()
                    ->create_dom_parser_implementation(
                        capacity, CALM_JSON_DEPTH_MAX, index->parser);
    if (error == simdjson::SUCCESS)
        return 0;
    /* What set_capacity() left behind is of no use. */
    index->parser.reset();
    return -ENOMEM;
}

calm__json_index *calm__json_index_new(void)
{
    void *memory = malloc(sizeof(calm__json_index));
    return memory ? new (memory) calm__json_index() : nullptr;
}

void calm__json_index_free(calm__json_index *index)
{
    if (!index)
        return;
    index->~calm__json_index();
    free(index);
}

int calm__json_index_make(calm__json_index *index, const char *text, size_t len,
    const uint32_t **ret_places, size_t *ret_count)
{
    int rc = reserve(index, len);
    if (rc < 0)
        return rc;
    simdjson::internal::dom_parser_implementation *parser = index->parser.get();
    parser->n_structural_indexes = 0;
    simdjson::error_code error = simdjson::EMPTY;
    if (len > 0)
        error = parser->stage1(reinterpret_cast<const uint8_t *>(text), len,
            simdjson::stage1_mode::regular);
    if (error == simdjson::EMPTY)
        parser->n_structural_indexes = 0;
    else if (error == simdjson::MEMALLOC)
        return -ENOMEM;
    else if (error != simdjson::SUCCESS)
        return CALM_EFORMAT;
    put_end(
        parser->structural_indexes.get(), parser->n_structural_indexes, len);
    *ret_places = parser->structural_indexes.get();
    *ret_count = parser->n_structural_indexes;
    return 0;
}

void calm__json_version(int ret_version[3])
{
    ret_version[0] = simdjson::SIMDJSON_VERSION_MAJOR;
    ret_version[1] = simdjson::SIMDJSON_VERSION_MINOR;
    ret_version[2] = simdjson::SIMDJSON_VERSION_REVISION;
}
