/* SPDX-License-Identifier: Apache-2.0 */
/* How sounds are held against each other: by numbers, and files of them that this test writes. */
#include "cm.h"
#include "sound.h"
#include "sound_reader.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RATE 8000
#define N    (2 * RATE)

static float tone(int64_t i, double hertz, double loud)
{
    return (float)(loud * sin(2 * 3.14159265358979 * hertz * (double)i / RATE));
}

static double differ(float (*a)(int64_t), float (*b)(int64_t))
{
    struct sound_difference d = {.window = RATE / 2};
    for (int64_t i = 0; i < N; i++) {
        float x = a(i), y = b(i);
        sound_difference_take(&d, &x, &y, 1);
    }
    sound_difference_end(&d);
    return d.worst;
}

static float loud(int64_t i)
{
    return tone(i, 440, 0.5);
}
static float softer(int64_t i)
{
    return tone(i, 440, 0.45);
}
static float later(int64_t i)
{
    return tone(i - 16, 440, 0.5); /* 2 ms */
}
static float silent(int64_t i)
{
    (void)i;
    return 0;
}
static float cut(int64_t i)
{
    return i < N / 2 || i > N / 2 + RATE / 4 ? loud(i) : 0; /* a quarter of a second is gone */
}
static float hiss(int64_t i)
{
    return tone(i, 3000, 0.0005);
}
static float broken(int64_t i)
{
    return i % 2 ? NAN : INFINITY;
}

static void sound_differs_by_a_part_of_its_loudness(void **state)
{
    (void)state;
    assert_true(differ(loud, loud) == 0);
    assert_true(fabs(differ(loud, softer) - 0.1) < 1e-6);
    assert_true(fabs(differ(loud, silent) - 1) < 1e-6);
    assert_true(fabs(differ(silent, loud) - 1) < 1e-6);
    assert_true(differ(loud, later) > 0.5);
    assert_true(fabs(differ(loud, cut) - sqrt(0.5)) < 0.01); /* half of the worst window */
    assert_true(differ(silent, hiss) < 0.05);                /* what nobody hears */
    assert_true(fabs(differ(loud, broken) - 1) < 1e-6);      /* what is no number is silence */
}

/* A WAV file of one or two channels. */
static void write_wav(const char *path, int channels, int rate, int64_t n, float (*f)(int64_t))
{
    FILE *out = fopen(path, "wb");
    assert_non_null(out);
    uint32_t bytes = (uint32_t)(n * channels * 2), riff = bytes + 36, format = 16, hertz = (uint32_t)rate,
             a_second = (uint32_t)(rate * channels * 2);
    uint16_t head[4] = {1, (uint16_t)channels, (uint16_t)(channels * 2), 16};
    fwrite("RIFF", 1, 4, out);
    fwrite(&riff, 4, 1, out);
    fwrite("WAVEfmt ", 1, 8, out);
    fwrite(&format, 4, 1, out);
    fwrite(head, 2, 2, out);
    fwrite(&hertz, 4, 1, out);
    fwrite(&a_second, 4, 1, out);
    fwrite(head + 2, 2, 2, out);
    fwrite("data", 1, 4, out);
    fwrite(&bytes, 4, 1, out);
    for (int64_t i = 0; i < n; i++)
        for (int c = 0; c < channels; c++) {
            int16_t s = (int16_t)(f(i) * 32767 / (float)(c + 1));
            fwrite(&s, 2, 1, out);
        }
    assert_int_equal(fclose(out), 0);
}

static double compare(const char *a, const char *b, char why[300])
{
    double worst = -1;
    int32_t streams = 0;
    struct bp_err err = {0};
    assert_int_equal(sounds_compare(a, b, &worst, &streams, why, &err), BP_OK);
    assert_int_equal(streams, 1);
    return worst;
}

static void files_of_sound_are_decoded_and_compared(void **state)
{
    char why[300];
    (void)state;
    write_wav("a.wav", 2, RATE, N, loud);
    write_wav("b.wav", 2, RATE, N, softer);
    assert_true(compare("a.wav", "a.wav", why) == 0 && !why[0]);
    assert_true(fabs(compare("a.wav", "b.wav", why) - 0.1) < 0.001 && !why[0]);
    write_wav("b.wav", 2, RATE, N, silent);
    assert_true(fabs(compare("a.wav", "b.wav", why) - 1) < 0.001 && !why[0]);
}

static void other_lengths_rates_and_channels_are_told(void **state)
{
    char why[300];
    (void)state;
    write_wav("a.wav", 2, RATE, N, loud);
    write_wav("b.wav", 2, RATE, N + RATE / 20, loud);
    assert_true(compare("a.wav", "b.wav", why) == 0 && !why[0]); /* 0.05 s: an encoder's last block */
    write_wav("b.wav", 2, RATE, N + RATE / 4, loud);
    compare("a.wav", "b.wav", why);
    assert_string_equal(why, "its sound lasts 2.25 s instead of 2.00 s");
    compare("b.wav", "a.wav", why);
    assert_string_equal(why, "its sound lasts 2.00 s instead of 2.25 s");
    write_wav("b.wav", 1, RATE, N, loud);
    compare("a.wav", "b.wav", why);
    assert_string_equal(why, "its sound has 1 channels of 8000 samples a second instead of 2 of 8000");
    write_wav("b.wav", 2, 2 * RATE, N, loud);
    compare("a.wav", "b.wav", why);
    assert_non_null(strstr(why, "16000"));
}

static void what_is_no_sound_is_told(void **state)
{
    char why[300];
    double worst;
    int32_t streams;
    struct bp_err err = {0};
    (void)state;
    write_wav("a.wav", 2, RATE, N, loud);
    FILE *f = fopen("text.wav", "wb");
    assert_non_null(f);
    fputs("no sound at all, though it is long enough to be looked at by anybody who wants to know", f);
    fclose(f);
    compare("a.wav", "text.wav", why);
    assert_non_null(strstr(why, "its sound cannot be read: "));
    assert_int_equal(sounds_compare("text.wav", "a.wav", &worst, &streams, why, &err), BP_BADINPUT);
    assert_int_equal(sounds_compare("nowhere.wav", "a.wav", &worst, &streams, why, &err), BP_IO);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sound_differs_by_a_part_of_its_loudness),
        cmocka_unit_test(files_of_sound_are_decoded_and_compared),
        cmocka_unit_test(other_lengths_rates_and_channels_are_told),
        cmocka_unit_test(what_is_no_sound_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
