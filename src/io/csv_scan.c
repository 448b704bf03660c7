/* csv_scan.c - bytes to bit masks: the one part that knows of processors
 *
 * Each variant compares 64 bytes with the five things that matter and packs
 * the answers into words. All of the thinking is done on these words, in code
 * that is the same everywhere, so a variant is a dozen lines, and the tests
 * compare them all with the portable one. The best for this processor is
 * chosen once.
 */
#include "io/csv.h"

#include <assert.h>
#include <endian.h>
#include <stdatomic.h>
#include <string.h>

#if defined(__x86_64__)
#include <immintrin.h>
#define X86 1
#elif defined(__aarch64__)
#include <arm_neon.h>
#define NEON 1
#endif

/* Eight bytes in a word. A byte of DIFFERENCE is zero where the text has what
 * is looked for; adding 0x7f to its low bits sets the top bit for all others.
 * No carry leaves a byte. The multiplication gathers the eight top bits. */
static inline uint64_t equal_bits(uint64_t word, uint64_t pattern)
{
    const uint64_t low = 0x7f7f7f7f7f7f7f7f;
    uint64_t difference = word ^ pattern;
    uint64_t zero = ~(((difference & low) + low) | difference | low);
    return ((zero >> 7) * 0x0102040810204080) >> 56;
}

static void scan_portable(const char *text, size_t lanes, char separator,
    struct calm__csv_masks *ret_masks)
{
    const uint64_t ones = 0x0101010101010101;
    for (size_t lane = 0; lane < lanes; lane++) {
        struct calm__csv_masks masks = {0};
        for (unsigned i = 0; i < CALM__CSV_LANE; i += 8) {
            uint64_t word;
            memcpy(&word, text, sizeof word);
            word = le64toh(word);
            text += sizeof word;
            masks.quote |= equal_bits(word, ones * '"') << i;
            masks.separator |= equal_bits(word, ones * (uint8_t)separator) << i;
            masks.newline |= equal_bits(word, ones * '\n') << i;
            masks.carriage |= equal_bits(word, ones * '\r') << i;
            uint64_t high = (word >> 7) & ones;
            masks.high |= ((high * 0x0102040810204080) >> 56) << i;
        }
        ret_masks[lane] = masks;
    }
}

#ifdef X86

static inline uint64_t bits_sse2(const __m128i *v, char c)
{
    const __m128i pattern = _mm_set1_epi8(c);
    uint64_t bits = 0;
    for (int i = 0; i < 4; i++)
        bits |= (uint64_t)_mm_movemask_epi8(_mm_cmpeq_epi8(v[i], pattern))
                << (16 * i);
    return bits;
}

static void scan_sse2(const char *text, size_t lanes, char separator,
    struct calm__csv_masks *ret_masks)
{
    for (size_t lane = 0; lane < lanes; lane++, text += CALM__CSV_LANE) {
        __m128i v[4];
        uint64_t high = 0;
        for (int i = 0; i < 4; i++) {
            v[i] = _mm_loadu_si128((const __m128i *)text + i);
            high |= (uint64_t)_mm_movemask_epi8(v[i]) << (16 * i);
        }
        ret_masks[lane] = (struct calm__csv_masks){
            .quote = bits_sse2(v, '"'),
            .separator = bits_sse2(v, separator),
            .newline = bits_sse2(v, '\n'),
            .carriage = bits_sse2(v, '\r'),
            .high = high,
        };
    }
}

__attribute__((target("avx2"))) static inline uint64_t bits_avx2(
    __m256i a, __m256i b, char c)
{
    const __m256i pattern = _mm256_set1_epi8(c);
    uint32_t low = _mm256_movemask_epi8(_mm256_cmpeq_epi8(a, pattern));
    uint32_t high = _mm256_movemask_epi8(_mm256_cmpeq_epi8(b, pattern));
    return low | (uint64_t)high << 32;
}

__attribute__((target("avx2"))) static void scan_avx2(const char *text,
    size_t lanes, char separator, struct calm__csv_masks *ret_masks)
{
    for (size_t lane = 0; lane < lanes; lane++, text += CALM__CSV_LANE) {
        __m256i a = _mm256_loadu_si256((const __m256i *)text);
        __m256i b = _mm256_loadu_si256((const __m256i *)text + 1);
        ret_masks[lane] = (struct calm__csv_masks){
            .quote = bits_avx2(a, b, '"'),
            .separator = bits_avx2(a, b, separator),
            .newline = bits_avx2(a, b, '\n'),
            .carriage = bits_avx2(a, b, '\r'),
            .high = (uint32_t)_mm256_movemask_epi8(a) |
                    (uint64_t)(uint32_t)_mm256_movemask_epi8(b) << 32,
        };
    }
}

__attribute__((target("avx512bw"))) static void scan_avx512(const char *text,
    size_t lanes, char separator, struct calm__csv_masks *ret_masks)
{
    for (size_t lane = 0; lane < lanes; lane++, text += CALM__CSV_LANE) {
        __m512i v = _mm512_loadu_si512(text);
        ret_masks[lane] = (struct calm__csv_masks){
            .quote = _mm512_cmpeq_epi8_mask(v, _mm512_set1_epi8('"')),
            .separator = _mm512_cmpeq_epi8_mask(v, _mm512_set1_epi8(separator)),
            .newline = _mm512_cmpeq_epi8_mask(v, _mm512_set1_epi8('\n')),
            .carriage = _mm512_cmpeq_epi8_mask(v, _mm512_set1_epi8('\r')),
            .high = _mm512_movepi8_mask(v),
        };
    }
}

#endif
#ifdef NEON

/* NEON has no movemask: each byte keeps the bit of its place, and three rounds
 * of adding neighbours bring 64 bytes together in eight. */
static inline uint64_t gather_neon(
    uint8x16_t a, uint8x16_t b, uint8x16_t c, uint8x16_t d)
{
    const uint8x16_t places = {
        1, 2, 4, 8, 16, 32, 64, 128, 1, 2, 4, 8, 16, 32, 64, 128};
    uint8x16_t ab = vpaddq_u8(vandq_u8(a, places), vandq_u8(b, places));
    uint8x16_t cd = vpaddq_u8(vandq_u8(c, places), vandq_u8(d, places));
    uint8x16_t all = vpaddq_u8(ab, cd);
    return vgetq_lane_u64(vreinterpretq_u64_u8(vpaddq_u8(all, all)), 0);
}

static inline uint64_t bits_neon(uint8x16x4_t v, char c)
{
    const uint8x16_t pattern = vdupq_n_u8((uint8_t)c);
    return gather_neon(vceqq_u8(v.val[0], pattern), vceqq_u8(v.val[1], pattern),
        vceqq_u8(v.val[2], pattern), vceqq_u8(v.val[3], pattern));
}

static inline uint8x16_t high_neon(uint8x16_t v)
{
    return vcgeq_u8(v, vdupq_n_u8(0x80));
}

static void scan_neon(const char *text, size_t lanes, char separator,
    struct calm__csv_masks *ret_masks)
{
    for (size_t lane = 0; lane < lanes; lane++, text += CALM__CSV_LANE) {
        const uint8_t *bytes = (const uint8_t *)text;
        uint8x16x4_t v = {{vld1q_u8(bytes), vld1q_u8(bytes + 16),
            vld1q_u8(bytes + 32), vld1q_u8(bytes + 48)}};
        ret_masks[lane] = (struct calm__csv_masks){
            .quote = bits_neon(v, '"'),
            .separator = bits_neon(v, separator),
            .newline = bits_neon(v, '\n'),
            .carriage = bits_neon(v, '\r'),
            .high = gather_neon(high_neon(v.val[0]), high_neon(v.val[1]),
                high_neon(v.val[2]), high_neon(v.val[3])),
        };
    }
}

#endif

static const struct {
    const char *name;
    calm__csv_scan_fn *scan;
} variants[] = {
#ifdef X86
    {"avx512bw", scan_avx512},
    {"avx2", scan_avx2},
    {"sse2", scan_sse2},
#endif
#ifdef NEON
    {"neon", scan_neon},
#endif
    {"portable", scan_portable},
};

static bool can_run(calm__csv_scan_fn *scan)
{
#ifdef X86
    if (scan == scan_avx512)
        return __builtin_cpu_supports("avx512bw");
    if (scan == scan_avx2)
        return __builtin_cpu_supports("avx2");
#endif
    return scan != NULL;
}

calm__csv_scan_fn *calm__csv_scan_variant(size_t index, const char **ret_name)
{
    for (size_t i = 0; i < sizeof variants / sizeof *variants; i++) {
        if (!can_run(variants[i].scan) || index-- > 0)
            continue;
        if (ret_name)
            *ret_name = variants[i].name;
        return variants[i].scan;
    }
    return NULL;
}

/* Every thread that comes here first finds the same answer. */
static calm__csv_scan_fn *best_variant(void)
{
    static _Atomic(calm__csv_scan_fn *) best;
    calm__csv_scan_fn *scan = atomic_load_explicit(&best, memory_order_relaxed);
    if (!scan) {
        scan = calm__csv_scan_variant(0, NULL);
        atomic_store_explicit(&best, scan, memory_order_relaxed);
    }
    return scan;
}

size_t calm__csv_scan(const char *text, size_t len, char separator,
    struct calm__csv_masks *ret_masks)
{
    assert(len <= CALM__CSV_WINDOW_BYTES);
    calm__csv_scan_fn *scan = best_variant();
    size_t lanes = len / CALM__CSV_LANE;
    size_t rest = len % CALM__CSV_LANE;
    scan(text, lanes, separator, ret_masks);
    if (rest > 0) {
        char last[CALM__CSV_LANE] = {0};
        memcpy(last, text + lanes * CALM__CSV_LANE, rest);
        scan(last, 1, separator, ret_masks + lanes);
        lanes++;
    }
    return lanes;
}
