/* SPDX-License-Identifier: Apache-2.0 */
/* CRC-32C against RFC 3720's own examples, in pieces, joined, and as S3 writes it. */
#include "cm.h"
#include "crc32c.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

static void examples_of_rfc_3720(void **state)
{
    (void)state;
    unsigned char b[32];
    memset(b, 0, sizeof b);
    assert_int_equal(crc32c(0, b, 32), 0x8a9136aa);
    memset(b, 0xff, sizeof b);
    assert_int_equal(crc32c(0, b, 32), 0x62a8ab43);
    for (int i = 0; i < 32; i++)
        b[i] = (unsigned char)i;
    assert_int_equal(crc32c(0, b, 32), 0x46dd794e);
    for (int i = 0; i < 32; i++)
        b[i] = (unsigned char)(31 - i);
    assert_int_equal(crc32c(0, b, 32), 0x113fdb5c);
    assert_int_equal(crc32c(0, "123456789", 9), 0xe3069283);
    assert_int_equal(crc32c(0, "", 0), 0);
}

static void pieces_and_joins_give_the_whole(void **state)
{
    (void)state;
    unsigned char b[1031];
    for (size_t i = 0; i < sizeof b; i++)
        b[i] = (unsigned char)(i * 131 + 7);
    uint32_t whole = crc32c(0, b, sizeof b);
    for (size_t cut = 0; cut <= sizeof b; cut += 37) {
        uint32_t first = crc32c(0, b, cut), second = crc32c(0, b + cut, sizeof b - cut);
        assert_int_equal(crc32c(first, b + cut, sizeof b - cut), whole);
        assert_int_equal(crc32c_join(first, second, sizeof b - cut), whole);
    }
}

/* Bit by bit, as the polynomial's definition has it. */
static uint32_t slowly(const unsigned char *p, size_t n)
{
    uint32_t crc = ~0U;
    for (; n; n--) {
        crc ^= *p++;
        for (int bit = 0; bit < 8; bit++)
            crc = crc & 1 ? crc >> 1 ^ 0x82f63b78U : crc >> 1;
    }
    return ~crc;
}

static void long_ones_are_as_the_definition_has_them(void **state)
{
    (void)state;
    static unsigned char b[3 * 24576 + 100];
    for (size_t i = 0; i < sizeof b; i++)
        b[i] = (unsigned char)(i * 2654435761U >> 11);
    static const size_t lengths[] = {24575, 24576, 24577, 49152, sizeof b - 3};
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++)
        assert_int_equal(crc32c(0, b + 3, lengths[i]), slowly(b + 3, lengths[i]));
}

static void a_part_of_a_file_and_one_that_ends_early(void **state)
{
    (void)state;
    struct bp_err err = {0};
    uint32_t crc = 1;
    FILE *f = tmpfile();
    fputs("before123456789after", f);
    fflush(f);
    assert_int_equal(crc32c_file(fileno(f), 6, 9, &crc, &err), 0);
    assert_int_equal(crc, 0xe3069283);
    assert_int_equal(crc32c_file(fileno(f), 15, 9, &crc, &err), BP_IO);
    assert_non_null(strstr(err.text, "shorter"));
    fclose(f);
}

static void text_is_base64_of_four_bytes(void **state)
{
    (void)state;
    char text[9];
    crc32c_text(0xe3069283, text);
    assert_string_equal(text, "4waSgw==");
    crc32c_text(0, text);
    assert_string_equal(text, "AAAAAA==");
    crc32c_text(0xffffffff, text);
    assert_string_equal(text, "/////w==");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(examples_of_rfc_3720),
        cmocka_unit_test(pieces_and_joins_give_the_whole),
        cmocka_unit_test(long_ones_are_as_the_definition_has_them),
        cmocka_unit_test(a_part_of_a_file_and_one_that_ends_early),
        cmocka_unit_test(text_is_base64_of_four_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
